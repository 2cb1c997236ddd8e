/**
 * The long poll of one fetch: reads, and while there is less than min.bytes waits for news of its partitions, until
 * max.wait.ms have passed or the client is gone. One listener and one timer per request, whatever the number of partitions.
 */
import type { Clock, Timer } from '../../../io/clock.ts';
import type { PartitionLog } from '../../log/partition-log.ts';
import type { ClientConnection } from '../handler.ts';
import type { ReadPass } from './fetch-read.ts';

export interface FetchWaitOptions {
  readonly clock: Clock;
  readonly connection: ClientConnection;
  readonly minBytes: number;
  readonly maxWaitMs: number;
  /** How long partitions that are about to open are waited for, if nothing else is there to answer. */
  readonly openingWaitMs: number;
  readonly read: () => ReadPass | Promise<ReadPass>;
}

/** Answers undefined when the client went away meanwhile. */
export function fetchWhenReady(options: FetchWaitOptions): ReadPass | Promise<ReadPass | undefined> {
  const first = options.read();
  if (first instanceof Promise) return first.then((pass) => (isEnough(pass, options) ? pass : new FetchWait(options).wait(pass)));
  return isEnough(first, options) ? first : new FetchWait(options).wait(first);
}

function isEnough(pass: ReadPass, { minBytes, maxWaitMs }: FetchWaitOptions): boolean {
  if (pass.urgent || pass.sizeBytes >= minBytes || pass.partitions.length === 0) return true;
  // What came from the object store is worth more than waiting for the rest and reading it again.
  if (pass.fromStore && pass.sizeBytes > 0) return true;
  return maxWaitMs <= 0 && pass.opening.length === 0;
}

class FetchWait {
  private readonly options: FetchWaitOptions;
  private readonly subscriptions = new Map<PartitionLog, () => void>();
  private readonly sinceMs: number;
  private readonly onNews = () => this.lookSoon();
  private pass: ReadPass | undefined;
  private timer: Timer | undefined;
  private forgetClose: (() => void) | undefined;
  private looking = false;
  private resolve: ((pass: ReadPass | undefined) => void) | undefined;
  private reject: ((error: unknown) => void) | undefined;

  constructor(options: FetchWaitOptions) {
    this.options = options;
    this.sinceMs = options.clock.monotonicMs();
  }

  wait(pass: ReadPass): Promise<ReadPass | undefined> {
    return new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
      this.forgetClose = this.options.connection.onClose(() => this.finish(undefined));
      this.follow(pass);
      this.arm(Math.max(0, this.options.maxWaitMs));
    });
  }

  private follow(pass: ReadPass): void {
    this.pass = pass;
    for (const log of pass.logs) if (!this.subscriptions.has(log)) this.subscriptions.set(log, log.subscribe(this.onNews));
    for (const ready of pass.opening) ready.then(this.onNews, this.onNews);
  }

  private arm(delayMs: number): void {
    this.timer = this.options.clock.setTimer(delayMs, () => this.timedOut());
  }

  private timedOut(): void {
    const leftMs = this.options.openingWaitMs - (this.options.clock.monotonicMs() - this.sinceMs);
    if (this.pass !== undefined && this.pass.opening.length > 0 && leftMs > 0) this.arm(leftMs);
    else this.finish(this.pass);
  }

  /** Many partitions advance together: one look for all of them. */
  private lookSoon(): void {
    if (this.looking || this.resolve === undefined) return;
    this.looking = true;
    this.options.clock.defer(() => {
      this.look().catch((error: unknown) => this.fail(error));
    });
  }

  private async look(): Promise<void> {
    if (this.resolve === undefined) return;
    const read = this.options.read();
    const pass = read instanceof Promise ? await read : read;
    this.looking = false;
    if (this.resolve === undefined) return;
    const waitedMs = this.options.clock.monotonicMs() - this.sinceMs;
    if (isEnough(pass, this.options) || (waitedMs >= this.options.maxWaitMs && pass.opening.length === 0)) this.finish(pass);
    else this.follow(pass);
  }

  private finish(pass: ReadPass | undefined): void {
    const { resolve } = this;
    this.stop();
    resolve?.(pass);
  }

  private fail(error: unknown): void {
    const { reject } = this;
    this.stop();
    reject?.(error);
  }

  private stop(): void {
    this.resolve = undefined;
    this.reject = undefined;
    this.timer?.cancel();
    this.forgetClose?.();
    for (const unsubscribe of this.subscriptions.values()) unsubscribe();
    this.subscriptions.clear();
  }
}
