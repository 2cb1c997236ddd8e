/** At most so many lines in an interval; what was left out is counted in the next line. Bad clients must not fill the log. */
import type { Clock } from '../../io/clock.ts';
import type { LogFields, Logger } from '../../io/logger.ts';

export interface LimitedLogOptions {
  readonly lines: number;
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

export class LimitedLog {
  private readonly options: LimitedLogOptions;
  private intervalStartMs: number;
  private written = 0;
  private left = 0;

  constructor(options: LimitedLogOptions) {
    this.options = options;
    this.intervalStartMs = options.clock.monotonicMs();
  }

  warn(message: string, fields: LogFields): void {
    const nowMs = this.options.clock.monotonicMs();
    if (nowMs - this.intervalStartMs >= this.options.intervalMs) {
      this.intervalStartMs = nowMs;
      this.written = 0;
    }
    if (this.written >= this.options.lines) {
      this.left++;
      return;
    }
    this.written++;
    this.options.logger.warn(message, this.left > 0 ? { ...fields, linesLeftOut: this.left } : fields);
    this.left = 0;
  }
}
