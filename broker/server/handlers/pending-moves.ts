/** Moves that were asked for and are not done, as the reassignments of Kafka's tools: a wish for where the partition already is asks for nothing. */
import type { MoveImage } from '../../../cluster/cluster-image.ts';
import { partitionKey } from '../../../cluster/identifiers.ts';
import type { Services } from '../services.ts';

/** By `partitionKey`. */
export function pendingMoves({ image }: Services): ReadonlyMap<string, MoveImage> {
  const pending = new Map<string, MoveImage>();
  for (const move of image.moves()) {
    const { topicId, partition, target } = move;
    const leader = image.leaderOf(topicId, partition);
    if (leader !== undefined && leader.leader !== target) pending.set(partitionKey(topicId, partition), move);
  }
  return pending;
}
