/**
 * One call of the folder store while the file system works on it. A system call cannot be taken back, so at the deadline the caller gets its
 * answer and the work is left behind, but never while the kernel may still touch the caller's buffers (F46).
 */
import type { CallEnd } from '../call-end.ts';
import type { Unknown } from '../object-store.ts';

/** What the work needs of its call. */
export interface CallProgress {
  /** The deadline passed or the caller gave up: begin nothing new. */
  readonly ended: boolean;
  holdBuffers(): void;
  releaseBuffers(): void;
}

export class RunningCall<Outcome> implements CallProgress {
  readonly outcome: Promise<Outcome | Unknown>;
  readonly #end: CallEnd;
  #resolve!: (outcome: Outcome | Unknown) => void;
  #reject!: (bug: unknown) => void;
  #holdsBuffers: boolean;

  constructor(end: CallEnd, { holdsBuffers }: { readonly holdsBuffers: boolean }) {
    this.#end = end;
    this.#holdsBuffers = holdsBuffers;
    this.outcome = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    end.onEnd(() => this.#answerEnd());
  }

  get ended(): boolean {
    return this.#end.cause !== undefined;
  }

  /** The first answer counts. */
  answer(outcome: Outcome): void {
    this.#resolve(outcome);
  }

  /** A bug of ours, nothing that the file system said. */
  fail(bug: unknown): void {
    this.#reject(bug);
  }

  holdBuffers(): void {
    this.#holdsBuffers = true;
  }

  releaseBuffers(): void {
    this.#holdsBuffers = false;
    if (this.ended) this.#answerEnd();
  }

  #answerEnd(): void {
    if (!this.#holdsBuffers && this.#end.cause !== undefined) this.#resolve({ kind: 'unknown', cause: this.#end.cause });
  }
}
