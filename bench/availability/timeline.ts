/** Times of what went well, by who and where, as performance.now() counts; a gap is the longest time between two. */
export class Timeline {
  readonly #times = new Map<string, number[]>();

  get size(): number {
    return this.#times.size;
  }

  note(name: string, atMs: number = performance.now()): void {
    const times = this.#times.get(name);
    if (times) times.push(atMs);
    else this.#times.set(name, [atMs]);
  }

  /** Forgets all but the last of each. */
  watch(): void {
    for (const [name, times] of this.#times) this.#times.set(name, times.slice(-1));
  }

  /** Who was well once, and not after that time. */
  missingSince(sinceMs: number): string[] {
    return [...this.#times].flatMap(([name, times]) => ((times.at(-1) ?? 0) > sinceMs ? [] : [name]));
  }

  /** One that lasts counts up to now. */
  worstGapMs(): number {
    const now = performance.now();
    let worst = 0;
    for (const times of this.#times.values()) {
      for (const [index, time] of times.entries()) worst = Math.max(worst, (times[index + 1] ?? now) - time);
    }
    return worst;
  }
}
