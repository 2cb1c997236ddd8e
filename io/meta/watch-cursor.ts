/**
 * Where a watch stands: everything up to `at` was delivered, nothing after. etcd may cut one revision's events
 * into fragments, repeat events after a reconnect, and start a stream before the place asked for; a revision is
 * delivered once, whole, and in order, whatever the cuts. The next stream starts from `at`, the last *event*:
 * revisions in headers say nothing about events that are still on their way (etcd #15220).
 */
import type { MetaEvent } from './meta-store.ts';

export class WatchCursor {
  #at: number;
  /** Events of one revision whose last fragment has not come. */
  #held: MetaEvent[] = [];

  constructor(after: number) {
    this.#at = after;
  }

  get at(): number {
    return this.#at;
  }

  /** A new stream: it begins behind `at` again. */
  restart(): void {
    this.#held = [];
  }

  /** Takes one response's events; answers those that may be delivered now. */
  accept(events: readonly MetaEvent[], hasMoreFragments: boolean): readonly MetaEvent[] {
    const fresh = [...this.#held, ...events.filter(({ modRevision }) => modRevision > this.#at)];
    const openRevision = hasMoreFragments ? fresh.at(-1)?.modRevision : undefined;
    const isOpen = ({ modRevision }: MetaEvent) => modRevision === openRevision;
    const whole = openRevision === undefined ? fresh : fresh.filter((event) => !isOpen(event));
    this.#held = openRevision === undefined ? [] : fresh.filter(isOpen);
    this.#at = whole.at(-1)?.modRevision ?? this.#at;
    return whole;
  }
}
