/** Where clients write down what they saw; `open` operations that never end become `info` at the end of the run. */
import type { Operation } from '../checker/history.ts';
import type { Scheduler } from './scheduler.ts';

export class Recorder {
  readonly history: Operation[] = [];
  readonly #scheduler: Pick<Scheduler, 'nowMs' | 'trace'>;
  readonly #onViolation: (name: string, detail: string) => void;
  readonly #onRecorded: (operation: Operation) => void;
  readonly #open = new Set<() => void>();
  #nextValue = 1;

  constructor(scheduler: Pick<Scheduler, 'nowMs' | 'trace'>, onViolation: (name: string, detail: string) => void, onRecorded: (operation: Operation) => void) {
    this.#scheduler = scheduler;
    this.#onRecorded = onRecorded;
    this.#onViolation = onViolation;
  }

  get nowMs(): number {
    return this.#scheduler.nowMs;
  }

  /** Fresh values, unique in the whole run. */
  values(count: number): number[] {
    return Array.from({ length: count }, () => this.#nextValue++);
  }

  record(operation: Operation): void {
    this.history.push(operation);
    this.#scheduler.trace.line(this.nowMs, `history ${describe(operation)}`);
    this.#onRecorded(operation);
  }

  /** For the reader of the trace only. */
  note(text: string): void {
    this.#scheduler.trace.line(this.nowMs, text);
  }

  violation(name: string, detail: string): void {
    this.#onViolation(name, detail);
  }

  /** `abandon` runs at the end of the history unless the returned function was called before. */
  opened(abandon: () => void): () => void {
    this.#open.add(abandon);
    return () => void this.#open.delete(abandon);
  }

  finish(): void {
    for (const abandon of [...this.#open]) abandon();
    this.#open.clear();
  }
}

function describe(operation: Operation): string {
  const { process, f, type, key, error } = operation;
  const head = `${process} ${f} ${type} ${key}${error === undefined ? '' : ` ${error}`}`;
  switch (operation.f) {
    case 'send':
    case 'resend':
      return `${head} [${operation.values.join(' ')}] at ${operation.baseOffset}`;
    case 'poll': {
      const { records } = operation;
      const range = records.length === 0 ? 'nothing' : `${records[0]?.[0]}-${records.at(-1)?.[0]}`;
      return `${head} from ${operation.from}: ${range} hw ${operation.highWatermark} start ${operation.logStart}`;
    }
    case 'listOffsets':
      return `${head} ${operation.spec} ${operation.offset}`;
    case 'seek':
      return `${head} ${operation.to}`;
    case 'deleteRecords':
      return `${head} ${operation.before}`;
    case 'commit':
    case 'committed':
      return `${head} ${operation.group} ${operation.offset} "${operation.text}"`;
    case 'assigned':
      return `${head} ${operation.group} generation ${operation.generation} ${operation.member}`;
    case 'fault':
      return `${head} ${operation.what}`;
  }
}
