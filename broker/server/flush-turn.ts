/**
 * Collects connections that have answers ready, and lets each write once after everything that is ready now has run: the
 * answers of all requests that became durable with one upload leave in one write per connection.
 */
import type { Clock } from '../../io/clock.ts';

export interface Flushable {
  flush(): void;
}

export class FlushTurn {
  private readonly clock: Clock;
  private due: Flushable[] = [];

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** The caller sees to it that it is not twice in one turn. */
  add(connection: Flushable): void {
    this.due.push(connection);
    if (this.due.length === 1) this.clock.defer(() => this.run());
  }

  private run(): void {
    const { due } = this;
    this.due = [];
    for (const connection of due) connection.flush();
  }
}
