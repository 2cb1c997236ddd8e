/**
 * Who leads what, as one client knows it: from Metadata and from the leader that an error names (KIP-951). As in Java's
 * Metadata, what is older by leader epoch than what is known changes nothing, or a broker that lags behind would send the
 * client back to a leader that is none any more.
 */

export interface KnownTopic {
  readonly name: string;
  readonly topicId: string;
  /** Leader by partition; −1 when there is none. */
  readonly leaders: number[];
  /** Leader epoch by partition; −1 when it was not told. */
  readonly epochs: number[];
}

export interface ToldLeader {
  readonly partition: number;
  readonly leader: number;
  readonly epoch: number;
}

export class KnownLeaders {
  readonly topics = new Map<string, KnownTopic>();
  /** Every topic that was ever seen, name by id. */
  readonly seen = new Map<string, string>();

  forget(name: string): void {
    this.topics.delete(name);
  }

  /** What a Metadata answer says about a whole topic. */
  learn(name: string, topicId: string, told: readonly ToldLeader[]): void {
    this.seen.set(topicId, name);
    const known = this.topics.get(name);
    const before = known?.topicId === topicId ? known : undefined;
    const leaders: number[] = [];
    const epochs: number[] = [];
    for (const { partition, leader, epoch } of told) {
      const knownEpoch = before?.epochs[partition] ?? -1;
      const older = epoch >= 0 && epoch < knownEpoch;
      leaders[partition] = older ? (before?.leaders[partition] ?? -1) : leader;
      epochs[partition] = older ? knownEpoch : epoch;
    }
    // A broker that lags behind does not know of partitions that were added.
    for (let partition = leaders.length; partition < (before?.leaders.length ?? 0); partition++) {
      leaders[partition] = before?.leaders[partition] ?? -1;
      epochs[partition] = before?.epochs[partition] ?? -1;
    }
    this.topics.set(name, { name, topicId, leaders, epochs });
  }

  /** A leader that came with an error. True when it is news. */
  correct(topicId: string, { partition, leader, epoch }: ToldLeader): boolean {
    if (leader < 0 || epoch < 0) return false;
    const known = this.topics.get(this.seen.get(topicId) ?? '');
    if (known?.topicId !== topicId || epoch <= (known.epochs[partition] ?? -1)) return false;
    known.leaders[partition] = leader;
    known.epochs[partition] = epoch;
    return true;
  }
}
