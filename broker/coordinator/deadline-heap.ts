/**
 * Deadlines by key, earliest first, behind one timer. A deadline that moves later (every heartbeat moves one) only writes
 * a number: the entry finds its place when it comes to the top, so extending costs nothing however many there are.
 */

interface Entry<Key> {
  readonly key: Key;
  dueMs: number;
  /** What the heap is ordered by; never later than `dueMs`. */
  orderMs: number;
  position: number;
}

export class DeadlineHeap<Key> {
  readonly #entries = new Map<Key, Entry<Key>>();
  readonly #heap: Entry<Key>[] = [];

  get size(): number {
    return this.#heap.length;
  }

  set(key: Key, dueMs: number): void {
    const entry = this.#entries.get(key);
    if (!entry) {
      const added = { key, dueMs, orderMs: dueMs, position: this.#heap.length };
      this.#entries.set(key, added);
      this.#heap.push(added);
      this.#siftUp(added);
      return;
    }
    entry.dueMs = dueMs;
    if (dueMs >= entry.orderMs) return;
    entry.orderMs = dueMs;
    this.#siftUp(entry);
  }

  delete(key: Key): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    this.#entries.delete(key);
    const last = this.#heap.pop() as Entry<Key>;
    if (last === entry) return;
    this.#place(last, entry.position);
    this.#siftUp(last);
    this.#siftDown(last);
  }

  clear(): void {
    this.#entries.clear();
    this.#heap.length = 0;
  }

  dueMs(key: Key): number | undefined {
    return this.#entries.get(key)?.dueMs;
  }

  /** The earliest deadline. */
  nextMs(): number | undefined {
    return this.#settledTop()?.dueMs;
  }

  /** Removes and returns the earliest key whose deadline is at or before `nowMs`. */
  popDue(nowMs: number): Key | undefined {
    const top = this.#settledTop();
    if (!top || top.dueMs > nowMs) return undefined;
    this.delete(top.key);
    return top.key;
  }

  #settledTop(): Entry<Key> | undefined {
    for (;;) {
      const top = this.#heap[0];
      if (!top || top.orderMs === top.dueMs) return top;
      top.orderMs = top.dueMs;
      this.#siftDown(top);
    }
  }

  #siftUp(entry: Entry<Key>): void {
    while (entry.position > 0) {
      const parentPosition = (entry.position - 1) >> 1;
      const parent = this.#heap[parentPosition] as Entry<Key>;
      if (parent.orderMs <= entry.orderMs) return;
      this.#place(parent, entry.position);
      this.#place(entry, parentPosition);
    }
  }

  #siftDown(entry: Entry<Key>): void {
    for (;;) {
      const left = this.#heap[entry.position * 2 + 1];
      if (!left) return;
      const right = this.#heap[entry.position * 2 + 2];
      const least = right && right.orderMs < left.orderMs ? right : left;
      if (entry.orderMs <= least.orderMs) return;
      const position = least.position;
      this.#place(least, entry.position);
      this.#place(entry, position);
    }
  }

  #place(entry: Entry<Key>, position: number): void {
    this.#heap[position] = entry;
    entry.position = position;
  }
}
