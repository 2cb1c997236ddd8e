/**
 * The last look at a run: `automq storage fsck` over what the fakes hold, as a process of its own. Nothing that the metadata
 * reaches may be missing or damaged, and every object is of a kind that is known.
 */
import { fsck } from '../../broker/log/fsck/fsck.ts';
import { readStoredMetadata } from '../../broker/ownership/stored-metadata.ts';
import { HostWallClock, simClock } from './sim-clock.ts';
import type { CheckedStores } from './simulation.ts';

export async function checkStore({ process, random, objects, meta, rested }: CheckedStores): Promise<readonly string[]> {
  const report = await fsck({
    objects: objects.clientOf(process),
    clock: simClock(process, new HostWallClock({ offsetMs: 0, rate: 1 }), random.fork('clock')),
    random,
    signal: new AbortController().signal,
    parallel: 16,
    metadata: () => readStoredMetadata(meta.clientOf(process)),
    verify: true,
  });
  const wrong = report.objects.filter(({ is }) => is === 'missing' || is === 'damaged' || is === 'unknown' || (rested && is === 'garbage'));
  return [...report.problems, ...wrong.map(({ key, is, reason }) => `${key} is ${is}: ${reason}`)];
}
