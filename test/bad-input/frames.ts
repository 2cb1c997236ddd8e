/** Makes frames as they go out, size in front: of good requests, of header and body bytes that may be anything, of bytes that are no frame. */
import { encodeRequest } from '../../broker/protocol/frames.ts';
import type { ApiKey, RequestInputOf } from '../../broker/protocol/messages.gen.ts';

export const testClientId = 'bad-input';

/** A good frame. */
export function requestFrame<K extends ApiKey>(apiKey: K, version: number, body: RequestInputOf<K>, correlationId = 1): Buffer {
  return Buffer.concat(encodeRequest(apiKey, version, correlationId, testClientId, body));
}

export interface HeaderFields {
  readonly apiKey: number;
  readonly version: number;
  readonly correlationId?: number;
  readonly clientId?: Uint8Array | null;
  /** Instead of the real length of the client id. */
  readonly clientIdLength?: number;
  /** What flexible versions have between client id and body; nothing by default. */
  readonly tags?: Uint8Array;
}

/** A frame of any header and any body, with the size that they have. */
export function rawFrame(fields: HeaderFields, ...body: readonly Uint8Array[]): Buffer {
  const clientId = fields.clientId === undefined ? Buffer.from(testClientId) : fields.clientId;
  const header = Buffer.alloc(10);
  header.writeInt16BE(fields.apiKey, 0);
  header.writeInt16BE(fields.version, 2);
  header.writeInt32BE(fields.correlationId ?? 1, 4);
  header.writeInt16BE(fields.clientIdLength ?? clientId?.length ?? -1, 8);
  return sized(Buffer.concat([header, clientId ?? Buffer.alloc(0), fields.tags ?? Buffer.alloc(0), ...body]));
}

/** `payload` with its size in front. */
export function sized(payload: Uint8Array): Buffer {
  return Buffer.concat([int32(payload.length), payload]);
}

/** The frame with more bytes behind its body, and a size that counts them. */
export function withTrailing(frame: Buffer, bytes: number): Buffer {
  return sized(Buffer.concat([frame.subarray(4), Buffer.alloc(bytes, 0x5a)]));
}

/** The frame without its last bytes, and a size that says so. */
export function shortened(frame: Buffer, bytes: number): Buffer {
  return sized(frame.subarray(4, frame.length - bytes));
}

export function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

/** An unsigned varint in its shortest form. */
export function varint(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  for (; left > 0x7f; left = Math.floor(left / 128)) bytes.push((left & 0x7f) | 0x80);
  return Buffer.from([...bytes, left]);
}

/** A string of the classic encoding. */
export function classicString(text: string | Uint8Array): Buffer {
  const bytes = Buffer.from(text as string);
  return Buffer.concat([int16(bytes.length), bytes]);
}

/** A string of the flexible encoding. */
export function compactString(text: string | Uint8Array): Buffer {
  const bytes = Buffer.from(text as string);
  return Buffer.concat([varint(bytes.length + 1), bytes]);
}

export function hex(digits: string): Buffer {
  return Buffer.from(digits.replaceAll(' ', ''), 'hex');
}
