/**
 * The second stage of one Produce request: waits until all its batches are durable, or its timeout has passed. Batches
 * that are uploaded together share one promise, so there is one callback per upload, not per partition, and one timer.
 */
import type { Clock, Timer } from '../../../io/clock.ts';
import type { Durability } from '../../log/partition-log.ts';

/** `timeout`: appended, not known to be durable in time. `not-opened`: never appended. */
export type Settlement = Durability | 'timeout' | 'not-opened';

interface Upload<Answer> {
  readonly durable: Promise<Durability>;
  readonly answers: Answer[];
}

export class ProduceWait<Answer> {
  private readonly clock: Clock;
  private readonly settle: (answer: Answer, settlement: Settlement) => void;
  private readonly uploads: Upload<Answer>[] = [];
  private readonly opening = new Set<Answer>();
  private timer: Timer | undefined;
  private onDone: (() => void) | undefined;

  constructor(clock: Clock, settle: (answer: Answer, settlement: Settlement) => void) {
    this.clock = clock;
    this.settle = settle;
  }

  get isDone(): boolean {
    return this.uploads.length === 0 && this.opening.size === 0;
  }

  /** `answer` was appended and is good once `durable` says so. */
  add(answer: Answer, durable: Promise<Durability>): void {
    const shared = this.uploads.find((upload) => upload.durable === durable);
    if (shared !== undefined) {
      shared.answers.push(answer);
      return;
    }
    const upload: Upload<Answer> = { durable, answers: [answer] };
    this.uploads.push(upload);
    durable.then(
      (durability) => this.settled(upload, durability),
      () => this.settled(upload, 'unknown'),
    );
  }

  /** `answer` waits for its partition to open. */
  beginOpening(answer: Answer): void {
    this.opening.add(answer);
  }

  /** Its partition opened, or will not. False: too late, it was answered already and must not be appended. */
  endOpening(answer: Answer): boolean {
    return this.opening.delete(answer);
  }

  /** Something that was opening has ended without an upload to wait for. */
  look(): void {
    if (this.isDone) this.finish();
  }

  untilDone(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.onDone = resolve;
      this.timer = this.clock.setTimer(Math.max(0, timeoutMs), () => this.timedOut());
      this.look();
    });
  }

  private settled(upload: Upload<Answer>, durability: Durability): void {
    const at = this.uploads.indexOf(upload);
    if (at < 0) return;
    this.uploads.splice(at, 1);
    for (const answer of upload.answers) this.settle(answer, durability);
    this.look();
  }

  private timedOut(): void {
    for (const upload of this.uploads) for (const answer of upload.answers) this.settle(answer, 'timeout');
    for (const answer of this.opening) this.settle(answer, 'not-opened');
    this.uploads.length = 0;
    this.opening.clear();
    this.finish();
  }

  private finish(): void {
    this.timer?.cancel();
    this.onDone?.();
    this.onDone = undefined;
  }
}
