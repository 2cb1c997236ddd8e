/**
 * The bytes of requests that lie in this broker's memory, all connections together, under one limit (Kafka's
 * queued.max.request.bytes, but counting bytes that arrived instead of sizes that were announced).
 *
 * Past the limit every connection that receives something is paused, and resumed in turn as requests end. Incomplete frames
 * alone can fill the memory, too: then nothing would ever end, so the one that lacks least goes on alone, and is dropped
 * when it takes longer than `reliefMs`.
 */
import type { Clock, Timer } from '../../io/clock.ts';

/** A connection that was paused because the memory is full. */
export interface PausedReader {
  /** Bytes that its incomplete frame lacks; 0 when it has none. */
  readonly missingBytes: number;
  resume(): void;
  /** The frame is not coming: give its memory back. */
  abandon(): void;
}

export interface RequestMemoryOptions {
  readonly limitBytes: number;
  readonly reliefMs: number;
  readonly clock: Clock;
}

/** What one resumed connection is expected to bring before it can be paused again. */
const CHUNK_BYTES = 65_536;

export class RequestMemory {
  usedBytes = 0;
  /** Of these, held by requests that were started and will end by themselves. */
  startedBytes = 0;
  /** Buffers that were allocated for bytes to come. */
  promisedBytes = 0;
  private readonly options: RequestMemoryOptions;
  private readonly waiting = new Set<PausedReader>();
  private relieved: PausedReader | undefined;
  private reliefTimer: Timer | undefined;

  constructor(options: RequestMemoryOptions) {
    this.options = options;
  }

  take(bytes: number): void {
    this.usedBytes += bytes;
  }

  release(bytes: number): void {
    this.usedBytes -= bytes;
    if (this.waiting.size > 0) this.resumeInTurn();
  }

  /** May a buffer of this size be allocated for bytes that have only been announced? An eighth of the memory at most goes that way. */
  promise(bytes: number): boolean {
    if ((this.promisedBytes + bytes) * 8 > this.options.limitBytes) return false;
    this.promisedBytes += bytes;
    return true;
  }

  /** So many of them came, or are not waited for any longer. */
  promiseKept(bytes: number): void {
    this.promisedBytes -= bytes;
  }

  /** A whole frame became a request, or its request ended. */
  start(bytes: number): void {
    this.startedBytes += bytes;
  }

  end(bytes: number): void {
    this.startedBytes -= bytes;
  }

  /** Must this connection stop reading? */
  isFullFor(reader: PausedReader): boolean {
    return this.usedBytes > this.options.limitBytes && reader !== this.relieved;
  }

  get waitingCount(): number {
    return this.waiting.size;
  }

  /** The caller paused `reader`; it will be resumed. */
  wait(reader: PausedReader): void {
    this.waiting.add(reader);
    this.relieve();
  }

  /** The reader waits no longer, because it goes on or is gone. */
  forget(reader: PausedReader): void {
    this.waiting.delete(reader);
    if (reader === this.relieved) this.endRelief();
  }

  /** The frame for which the reader may have been let on alone is complete. */
  frameCompleted(reader: PausedReader): void {
    if (reader === this.relieved) this.endRelief();
  }

  close(): void {
    this.waiting.clear();
    this.reliefTimer?.cancel();
    this.relieved = undefined;
  }

  private resumeInTurn(): void {
    let expected = this.usedBytes;
    for (const reader of this.waiting) {
      if (expected > this.options.limitBytes - CHUNK_BYTES) break;
      this.waiting.delete(reader);
      reader.resume();
      expected += CHUNK_BYTES;
    }
    this.relieve();
  }

  private relieve(): void {
    if (this.relieved !== undefined || this.usedBytes <= this.options.limitBytes || this.startedBytes * 2 > this.options.limitBytes) return;
    let best: PausedReader | undefined;
    for (const reader of this.waiting) {
      if (reader.missingBytes > 0 && (best === undefined || reader.missingBytes < best.missingBytes)) best = reader;
    }
    if (best === undefined) return;
    this.relieved = best;
    this.waiting.delete(best);
    this.reliefTimer = this.options.clock.setTimer(this.options.reliefMs, () => this.reliefFailed());
    best.resume();
  }

  private reliefFailed(): void {
    const reader = this.relieved;
    this.relieved = undefined;
    this.reliefTimer = undefined;
    reader?.abandon();
    this.resumeInTurn();
  }

  private endRelief(): void {
    this.reliefTimer?.cancel();
    this.reliefTimer = undefined;
    this.relieved = undefined;
    if (this.waiting.size > 0) this.resumeInTurn();
  }
}
