/**
 * Requests for partitions that this broker is about to serve are held for a moment instead of refused (design §5). What
 * waits for one partition goes on in the order in which it began to wait.
 */
import type { Clock } from '../../../io/clock.ts';
import type { TopicId } from '../../../cluster/identifiers.ts';
import type { Services } from '../services.ts';
import { accessPartition, type PartitionAccess } from './partition-access.ts';

/** Calls `then` once: with what the partition has become, or still as `opening` when `waitMs` have passed. */
export function whenOpened(services: Services, topicId: TopicId, partition: number, waitMs: number, then: (access: PartitionAccess) => void): void {
  const access = accessPartition(services, topicId, partition);
  if (access.kind !== 'opening' || waitMs <= 0) {
    then(access);
    return;
  }
  const { clock } = services.io;
  const deadlineMs = clock.monotonicMs() + waitMs;
  let done = false;
  const timer = clock.setTimer(waitMs, () => finish(access));
  const finish = (now: PartitionAccess) => {
    if (done) return;
    done = true;
    timer.cancel();
    then(now);
  };
  const look = () => {
    const now = accessPartition(services, topicId, partition);
    if (now.kind === 'opening' && clock.monotonicMs() < deadlineMs && !done) now.ready.then(look, look);
    else finish(now);
  };
  access.ready.then(look, look);
}

/** The same for code that awaits: all partitions at once, each within `waitMs`. */
export async function openedWithin(clock: Clock, ready: readonly Promise<void>[], waitMs: number): Promise<void> {
  if (ready.length === 0 || waitMs <= 0) return;
  await new Promise<void>((resolve) => {
    const timer = clock.setTimer(waitMs, resolve);
    void Promise.allSettled(ready).then(() => {
      timer.cancel();
      resolve();
    });
  });
}

/** What `openedWithin` waits for, of partitions that a request names. */
export function openingAmong(services: Services, asked: Iterable<{ readonly topic: string; readonly partition: number }>): Promise<void>[] {
  const opening: Promise<void>[] = [];
  for (const { topic: name, partition } of asked) {
    const topic = services.image.topicByName(name);
    const access = topic && accessPartition(services, topic.topicId, partition);
    if (access?.kind === 'opening') opening.push(access.ready);
  }
  return opening;
}
