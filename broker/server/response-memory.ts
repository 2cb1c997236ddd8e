/**
 * The bytes of answers that were made and not yet handed to the kernel, all connections together. Fetch looks at what is left
 * before it reads, so slow readers get smaller answers instead of filling the memory (faults.md F64); when nothing is left, a
 * connection with an unread answer gets no other.
 */
export class ResponseMemory {
  usedBytes = 0;
  readonly limitBytes: number;

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes;
  }

  get freeBytes(): number {
    return Math.max(0, this.limitBytes - this.usedBytes);
  }

  /** One connection's share went from `before` to `now`. */
  change(before: number, now: number): void {
    this.usedBytes += now - before;
  }
}
