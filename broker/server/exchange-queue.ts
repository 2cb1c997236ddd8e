/** The requests of one connection that are under way, in order, and their answers: an answer leaves once all before it have left. */
import { ApiKeys } from '../protocol/messages.gen.ts';
import type { Frame } from './frame-reader.ts';
import type { Route } from './request-router.ts';

export class Exchange {
  readonly route: Route;
  readonly version: number;
  readonly correlationId: number;
  readonly receivedAtMs: number;
  readonly sizeBytes: number;
  readonly frame: Frame;
  /** undefined: not yet; empty: none is sent. */
  answer: readonly Uint8Array[] | undefined;
  answerBytes = 0;

  constructor(fields: Pick<Exchange, 'route' | 'version' | 'correlationId' | 'receivedAtMs' | 'frame'>) {
    this.route = fields.route;
    this.version = fields.version;
    this.correlationId = fields.correlationId;
    this.receivedAtMs = fields.receivedAtMs;
    this.frame = fields.frame;
    this.sizeBytes = fields.frame.bytes.length;
  }

  /**
   * Answered: the request's memory may be used again. Only Produce, whose log holds what it keeps; other requests are rarely
   * large, and whether all their handlers copy what they keep nobody needs to know.
   */
  releaseFrame(): void {
    if (this.route.api.key === ApiKeys.Produce) this.frame.release();
    else this.frame.abandon();
  }

  get serial(): boolean {
    return this.route.handler.concurrency === 'serial';
  }
}

export class ExchangeQueue {
  /** Bytes of requests in the queue. */
  requestBytes = 0;
  /** Bytes of answers that wait for their turn. */
  answerBytes = 0;
  private readonly exchanges: Exchange[] = [];
  private unanswered = 0;
  private unansweredSerial = 0;

  get length(): number {
    return this.exchanges.length;
  }

  /** May a request start behind those that have no answer yet? */
  mayFollow(serial: boolean): boolean {
    return this.unansweredSerial === 0 && (!serial || this.unanswered === 0);
  }

  get headIsReady(): boolean {
    return this.exchanges[0]?.answer !== undefined;
  }

  /** Is there anything that a stopping server waits for? */
  get hasWork(): boolean {
    return this.exchanges.some((exchange) => exchange.answer !== undefined || exchange.route.handler.longPoll !== true);
  }

  add(exchange: Exchange): void {
    this.exchanges.push(exchange);
    this.requestBytes += exchange.sizeBytes;
    this.unanswered++;
    if (exchange.serial) this.unansweredSerial++;
  }

  setAnswer(exchange: Exchange, answer: readonly Uint8Array[]): void {
    exchange.answer = answer;
    for (const chunk of answer) exchange.answerBytes += chunk.length;
    this.answerBytes += exchange.answerBytes;
    this.unanswered--;
    if (exchange.serial) this.unansweredSerial--;
  }

  /** Removes the answered exchanges at the head. */
  takeReady(): Exchange[] {
    let count = 0;
    while (this.exchanges[count]?.answer !== undefined) count++;
    const ready = this.exchanges.splice(0, count);
    for (const exchange of ready) {
      this.requestBytes -= exchange.sizeBytes;
      this.answerBytes -= exchange.answerBytes;
    }
    return ready;
  }

  /** The connection is gone: nothing of this is answered. Handlers that have not answered may still look at their requests. */
  clear(): void {
    for (const exchange of this.exchanges) {
      if (exchange.answer === undefined) exchange.frame.abandon();
      else exchange.releaseFrame();
    }
    this.exchanges.length = 0;
    this.requestBytes = 0;
    this.answerBytes = 0;
  }
}
