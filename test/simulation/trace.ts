/**
 * What a run did: a hash over every event (two runs of one seed must agree) and the last lines in readable
 * form for the report of a failure.
 */
export class Trace {
  #first = 0x811c9dc5;
  #second = 0x01000193;
  readonly #lines: string[] = [];
  readonly #keepLines: number;
  #events = 0;
  readonly #print: ((line: string) => void) | undefined;

  constructor(options: { readonly keepLines: number; readonly print?: ((line: string) => void) | undefined }) {
    this.#keepLines = options.keepLines;
    this.#print = options.print;
  }

  /** Adds to the hash only. */
  note(timeMs: number, text: string): void {
    this.#events++;
    this.#mix(Math.round(timeMs * 1000) | 0);
    for (let i = 0; i < text.length; i++) this.#mix(text.charCodeAt(i));
  }

  /** Adds to the hash and to the readable lines. */
  line(timeMs: number, text: string): void {
    this.note(timeMs, text);
    const line = `${timeMs.toFixed(3).padStart(12)}  ${text}`;
    this.#print?.(line);
    this.#lines.push(line);
    if (this.#lines.length > 2 * this.#keepLines) this.#lines.splice(0, this.#keepLines);
  }

  get events(): number {
    return this.#events;
  }

  get hash(): string {
    return (this.#first >>> 0).toString(16).padStart(8, '0') + (this.#second >>> 0).toString(16).padStart(8, '0');
  }

  lastLines(count: number): readonly string[] {
    return this.#lines.slice(-count);
  }

  #mix(value: number): void {
    this.#first = Math.imul(this.#first ^ value, 0x01000193);
    this.#second = Math.imul(this.#second ^ value ^ (this.#first >>> 15), 0x85ebca6b);
    this.#second ^= this.#second >>> 13;
  }
}
