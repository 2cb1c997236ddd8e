/** Calls a handler as the server does: the request travels through its own codec, the answer, too. */
import { decodeRequest, decodeRequestHeader, decodeResponse, encodeRequest, encodeResponse } from '../../protocol/frames.ts';
import type { ApiKey, RequestInputOf, ResponseOf } from '../../protocol/messages.gen.ts';
import { closeConnection, noAnswer, type ClientConnection, type HandlerOf, type RequestContext } from '../handler.ts';

export class FakeClient implements ClientConnection {
  readonly id = 1;
  readonly listener = 'PLAINTEXT';
  readonly host = '10.0.0.1';
  readonly principal = 'User:ANONYMOUS';
  clientSoftwareName = '';
  clientSoftwareVersion = '';
  closed = false;
  readonly closeListeners = new Set<() => void>();

  onClose(listener: () => void): () => void {
    this.closeListeners.add(listener);
    return () => this.closeListeners.delete(listener);
  }

  close(): void {
    this.closed = true;
    for (const listener of this.closeListeners) listener();
  }
}

export type Answer<K extends ApiKey> = ResponseOf<K> | 'no answer' | 'close';

export interface CallOptions {
  readonly client?: FakeClient;
  readonly clientId?: string | null;
}

/** The whole frame of a request, with its size in front. */
export function requestFrame<K extends ApiKey>(
  apiKey: K,
  version: number,
  body: RequestInputOf<K>,
  options: { readonly correlationId?: number; readonly clientId?: string | null } = {},
): Buffer {
  return Buffer.concat(encodeRequest(apiKey, version, options.correlationId ?? 1, options.clientId ?? 'test', body));
}

export async function call<K extends ApiKey>(handler: HandlerOf<K>, version: number, body: RequestInputOf<K>, options: CallOptions = {}): Promise<Answer<K>> {
  const apiKey = handler.apiKey as K;
  const frame = requestFrame(apiKey, version, body, options).subarray(4);
  const header = decodeRequestHeader(frame);
  const context: RequestContext = {
    apiKey,
    apiVersion: version,
    correlationId: header.correlationId,
    clientId: options.clientId === undefined ? header.clientId : options.clientId,
    connection: options.client ?? new FakeClient(),
    receivedAtMs: 0,
    sizeBytes: frame.length,
  };
  const outcome = await handler.handle(decodeRequest(apiKey, version, frame, header.bodyOffset).body, context);
  if (outcome === noAnswer) return 'no answer';
  if (outcome === closeConnection) return 'close';
  const answer = Buffer.concat(encodeResponse(apiKey, version, header.correlationId, outcome));
  return decodeResponse(apiKey, version, answer.subarray(4)).body;
}

/** The answer, which the test expects to be one. */
export async function answerTo<K extends ApiKey>(
  handler: HandlerOf<K>,
  version: number,
  body: RequestInputOf<K>,
  options: CallOptions = {},
): Promise<ResponseOf<K>> {
  const answer = await call(handler, version, body, options);
  if (typeof answer === 'string') throw new Error(`no answer: ${answer}`);
  return answer;
}
