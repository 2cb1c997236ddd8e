/**
 * HTTP/1.1 answers as object stores give them (RFC 9112): the head, how the body is framed, the chunked coding.
 * Strict where leniency is dangerous: what cannot be framed for sure is an error, and the connection goes.
 */

export interface AnswerHead {
  readonly status: number;
  /** Names in lower case; of a repeated header the values joined by a comma. */
  readonly headers: ReadonlyMap<string, string>;
  readonly framing: BodyFraming;
  /** The server keeps the connection open after this answer. */
  readonly keepAlive: boolean;
}

export type BodyFraming = { readonly kind: 'length'; readonly sizeBytes: number } | { readonly kind: 'chunked' } | { readonly kind: 'until-close' };

export class HttpFormatError extends Error {
  override readonly name = 'HttpFormatError';
}

/** The head without its empty line. `method` decides whether a body follows at all. */
export function parseAnswerHead(text: string, method: string): AnswerHead {
  const [statusLine = '', ...lines] = text.split('\r\n');
  const parsed = /^HTTP\/1\.([01]) (\d{3})(?: |$)/.exec(statusLine);
  if (!parsed) throw new HttpFormatError(`not an HTTP/1.1 answer: ${JSON.stringify(statusLine.slice(0, 60))}`);
  const status = Number(parsed[2]);
  const headers = parseHeaders(lines);
  const connection = headers.get('connection')?.toLowerCase() ?? '';
  const keepAlive = parsed[1] === '1' ? !connection.includes('close') : connection.includes('keep-alive');
  const framing = bodyFraming(status, method, headers);
  return { status, headers, framing, keepAlive: keepAlive && framing.kind !== 'until-close' };
}

function parseHeaders(lines: readonly string[]): Map<string, string> {
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon <= 0) throw new HttpFormatError(`not a header line: ${JSON.stringify(line.slice(0, 60))}`);
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return headers;
}

function bodyFraming(status: number, method: string, headers: ReadonlyMap<string, string>): BodyFraming {
  if (method === 'HEAD' || status === 204 || status === 304 || status < 200) return { kind: 'length', sizeBytes: 0 };
  const coding = headers.get('transfer-encoding');
  if (coding !== undefined) {
    if (coding.toLowerCase() !== 'chunked') throw new HttpFormatError(`transfer coding ${coding}`);
    return { kind: 'chunked' };
  }
  const length = headers.get('content-length');
  if (length === undefined) return { kind: 'until-close' };
  if (!/^\d{1,15}$/.test(length)) throw new HttpFormatError(`content length ${JSON.stringify(length.slice(0, 40))}`);
  return { kind: 'length', sizeBytes: Number(length) };
}

/** Takes a chunked body apart. Only small answers come in it (errors, listings), so it copies. */
export class ChunkedBody {
  readonly #maxBytes: number;
  readonly #parts: Buffer[] = [];
  #sizeBytes = 0;
  #line = '';
  #state: 'size' | 'bytes' | 'bytes-end' | 'trailer' | 'done' = 'size';
  #left = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** How many of `bytes` belong to the body: fewer than all only when it is complete. */
  push(bytes: Buffer): number {
    let at = 0;
    while (at < bytes.length && this.#state !== 'done')
      at += this.#state === 'bytes' ? this.#takeBytes(bytes.subarray(at)) : this.#takeLine(bytes.subarray(at));
    return at;
  }

  get complete(): boolean {
    return this.#state === 'done';
  }

  body(): Buffer {
    return Buffer.concat(this.#parts, this.#sizeBytes);
  }

  #takeBytes(bytes: Buffer): number {
    const part = Buffer.from(bytes.subarray(0, this.#left));
    this.#parts.push(part);
    this.#left -= part.length;
    if (this.#left === 0) this.#state = 'bytes-end';
    return part.length;
  }

  #takeLine(bytes: Buffer): number {
    const end = bytes.indexOf(0x0a);
    this.#line += bytes.toString('latin1', 0, end < 0 ? bytes.length : end + 1);
    if (this.#line.length > 1024) throw new HttpFormatError('a line of the chunked coding is too long');
    if (end < 0) return bytes.length;
    const line = this.#line.replace(/\r?\n$/, '');
    this.#line = '';
    this.#state = this.#afterLine(line);
    return end + 1;
  }

  #afterLine(line: string): 'size' | 'bytes' | 'trailer' | 'done' {
    if (this.#state === 'bytes-end') {
      if (line !== '') throw new HttpFormatError('a chunk is longer than it said');
      return 'size';
    }
    if (this.#state === 'trailer') return line === '' ? 'done' : 'trailer';
    const size = /^([0-9a-fA-F]{1,8})(?:[;\s]|$)/.exec(line);
    if (!size) throw new HttpFormatError(`not the size of a chunk: ${JSON.stringify(line.slice(0, 40))}`);
    this.#left = Number.parseInt(size[1]!, 16);
    this.#sizeBytes += this.#left;
    if (this.#sizeBytes > this.#maxBytes) throw new HttpFormatError(`a body of more than ${this.#maxBytes} bytes`);
    return this.#left === 0 ? 'trailer' : 'bytes';
  }
}
