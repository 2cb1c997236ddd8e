/** A process that creates keys in a folder store as fast as it can and prints which of them it won: folder-processes.test.ts runs several at once. */
import { FolderObjectStore } from '../../io/object/folder-object-store.ts';
import { objectBody } from '../../io/object/object-store.ts';
import { systemClock } from '../../io/system-clock.ts';
import { systemRandom } from '../../io/system-random.ts';

const [folder = '', name = '', count = '0'] = process.argv.slice(2);
const store = await FolderObjectStore.open({ folder, clock: systemClock, random: systemRandom });
const won: number[] = [];
const body = objectBody([Buffer.from(name)]);
for (let index = 0; index < Number(count); index++) {
  const outcome = await store.create(`race/${index}`, body);
  if (outcome.kind === 'created') won.push(index);
  else if (outcome.kind !== 'exists') throw new Error(JSON.stringify(outcome));
}
await store.close();
process.stdout.write(JSON.stringify(won));
