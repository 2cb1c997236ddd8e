/**
 * Requests and responses as whole frames: header and body, both directions (Kafka protocol guide; KIP-482 for the flexible headers).
 * A frame here is what follows the 4-byte size; what is encoded has the size in front, ready for writev.
 *
 * Request header v2 (flexible versions) still carries the client id in the classic form, and ends with tagged fields; response header v1 ends
 * with tagged fields, but ApiVersions always answers with v0: a client that does not know the version must be able to read it (KIP-511).
 */
import { type Api, apiOf } from './apis.ts';
import { type Decoded, decodeBody, encodeFrame } from './codecs.ts';
import { type ApiKey, ApiKeys, type RequestInputOf, type RequestOf, type ResponseInputOf, type ResponseOf } from './messages.gen.ts';
import { ProtocolError } from './protocol-error.ts';
import { Reader } from './reader.ts';
import type { Writer } from './writer.ts';

export interface RequestHeader {
  /** As sent: may be no API or a version that we lack; then the header was read as v1 and `api` is undefined or `bodyOffset` approximate. */
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly correlationId: number;
  readonly clientId: string | null;
  /** Undefined: no API that clients may use. */
  readonly api: Api | undefined;
  /** Is `apiVersion` one of the schema's? Otherwise the body cannot be decoded (ApiVersions: answer v0 with UNSUPPORTED_VERSION). */
  readonly known: boolean;
  readonly bodyOffset: number;
}

const reader = new Reader();

export function decodeRequestHeader(frame: Buffer): RequestHeader {
  if (frame.length < 8) throw new ProtocolError(`request header: frame of ${frame.length} bytes`);
  const apiKey = frame.readInt16BE(0);
  const apiVersion = frame.readInt16BE(2);
  const correlationId = frame.readInt32BE(4);
  const api = apiOf(apiKey);
  const known = api !== undefined && apiVersion >= api.minVersion && apiVersion <= api.maxVersion;
  // A version too new for us is flexible like the latest that we know; only its client id matters then, for the log.
  const { clientId, end } = decodeClientId(frame);
  const flexible = known && apiVersion >= api.flexibleFrom;
  return { apiKey, apiVersion, correlationId, clientId, api, known, bodyOffset: flexible ? skipTags(frame, end, 'request header') : end };
}

/** The body of a request whose header was `known`. Bytes and records are views on `frame`. */
export function decodeRequest<K extends ApiKey>(apiKey: K, version: number, frame: Buffer, bodyOffset: number): Decoded<RequestOf<K>> {
  return decodeBody(apiFor(apiKey).request, version, frame, bodyOffset) as Decoded<RequestOf<K>>;
}

/** A response frame with its size in front. Large bytes and records go out as they are, in chunks of their own: do not change them until sent. */
export function encodeResponse<K extends ApiKey>(apiKey: K, version: number, correlationId: number, body: ResponseInputOf<K>): Uint8Array[] {
  const api = apiFor(apiKey);
  const flexible = version >= api.flexibleFrom && apiKey !== ApiKeys.ApiVersions;
  return encodeFrame(api.response, version, body, (writer, start) => {
    const p = writer.int32(start, correlationId);
    return flexible ? writer.varint(p, 0) : p;
  });
}

/** The client's direction: a request frame with its size in front. */
export function encodeRequest<K extends ApiKey>(
  apiKey: K,
  version: number,
  correlationId: number,
  clientId: string | null,
  body: RequestInputOf<K>,
): Uint8Array[] {
  const api = apiFor(apiKey);
  return encodeFrame(api.request, version, body, (writer, start) => {
    const p = encodeClientId(writer, writer.int32(writer.int32(start, (apiKey << 16) | version), correlationId), clientId);
    return version >= api.flexibleFrom ? writer.varint(p, 0) : p;
  });
}

/** The correlation id of a response frame, which tells whose answer it is. */
export function decodeCorrelationId(frame: Buffer): number {
  if (frame.length < 4) throw new ProtocolError(`response header: frame of ${frame.length} bytes`);
  return frame.readInt32BE(0);
}

/** The client's direction: the body of a response frame. Bytes and records are views on `frame`. */
export function decodeResponse<K extends ApiKey>(apiKey: K, version: number, frame: Buffer): Decoded<ResponseOf<K>> & { readonly correlationId: number } {
  const api = apiFor(apiKey);
  const correlationId = decodeCorrelationId(frame);
  const flexible = version >= api.flexibleFrom && apiKey !== ApiKeys.ApiVersions;
  const decoded = decodeBody(api.response, version, frame, flexible ? skipTags(frame, 4, 'response header') : 4) as Decoded<ResponseOf<K>>;
  return { ...decoded, correlationId };
}

function apiFor(apiKey: ApiKey): Api {
  const api = apiOf(apiKey);
  if (!api) throw new ProtocolError(`no API has key ${String(apiKey)}`);
  return api;
}

function decodeClientId(frame: Buffer): { clientId: string | null; end: number } {
  const start = 10;
  if (frame.length < start) throw new ProtocolError('request header: the frame ends before the client id');
  const length = frame.readInt16BE(8);
  if (length < -1 || length > frame.length - start) throw new ProtocolError(`request header: client id of ${length} bytes`);
  return length < 0 ? { clientId: null, end: start } : { clientId: frame.toString('utf8', start, start + length), end: start + length };
}

function encodeClientId(writer: Writer, p: number, clientId: string | null): number {
  if (clientId !== null) return writer.string(p, clientId, false, 'request header clientId');
  return writer.int16(p, -1);
}

function skipTags(frame: Buffer, start: number, where: string): number {
  let left = reader.varint(frame, start, where);
  for (; left > 0; left--) {
    reader.varint(frame, reader.pos, where);
    reader.skipTagged(frame, reader.pos, where);
  }
  return reader.pos;
}
