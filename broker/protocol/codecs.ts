/** The codecs of every message by name and version, compiled at first use and kept. */
import { compileDecoder, type Decoder } from './compile-decoder.ts';
import { compileEncoder, type Encoder } from './compile-encoder.ts';
import { layoutOf } from './layout.ts';
import type { MessageInputs, MessageName, MessageTypes } from './messages.gen.ts';
import { ProtocolError } from './protocol-error.ts';
import { elementBudget, Reader } from './reader.ts';
import { inRange, type MessageSchema } from './schema/grammar.ts';
import { schemaOf } from './schema/messages.ts';
import { Writer } from './writer.ts';

/** The codecs of one message; by version, undefined until used. */
export interface MessageCodecs {
  readonly schema: MessageSchema;
  readonly decoders: (Decoder | undefined)[];
  readonly encoders: (Encoder | undefined)[];
}

export interface Decoded<T> {
  readonly body: T;
  /** Bytes after the body. Kafka ignores them, and so do we (faults.md B11). */
  readonly trailingBytes: number;
}

const codecs = new Map<string, MessageCodecs>();
const reader = new Reader();
const writer = new Writer();

export function codecsOf(name: string): MessageCodecs {
  let found = codecs.get(name);
  if (!found) {
    const schema = schemaOf(name);
    if (!schema) throw new ProtocolError(`no message is called ${name}`);
    found = { schema, decoders: [], encoders: [] };
    codecs.set(name, found);
  }
  return found;
}

/** Decodes the body that begins at `start`. Bytes and records in the result are views on `frame` and live as long as it. */
export function decodeBody(codec: MessageCodecs, version: number, frame: Buffer, start: number): Decoded<unknown> {
  const decoder = codec.decoders[version] ?? compileInto(codec.decoders, codec.schema, version, compileDecoder);
  reader.elements = elementBudget(frame.length);
  const body = decoder(frame, start, reader);
  return { body, trailingBytes: frame.length - reader.pos };
}

/**
 * Encodes a whole frame: `head` writes what comes before the body (size prefix not counted) and returns where it ended.
 * The chunks belong to the caller; those of large bytes and records are the caller's own buffers, not copies.
 */
export function encodeFrame(codec: MessageCodecs, version: number, value: unknown, head: (writer: Writer, start: number) => number): Uint8Array[] {
  const encoder = codec.encoders[version] ?? compileInto(codec.encoders, codec.schema, version, compileEncoder);
  writer.begin();
  const end = encoder(writer, head(writer, 4), value);
  writer.int32(0, end - 4 + writer.externalBytes);
  return writer.finish(end);
}

/** Encodes a message that stands alone (a record's key or value, a group protocol's metadata), without prefix or header. */
export function encodeMessage<N extends MessageName>(name: N, version: number, value: MessageInputs[N]): Buffer {
  const codec = codecsOf(name);
  const encoder = codec.encoders[version] ?? compileInto(codec.encoders, codec.schema, version, compileEncoder);
  writer.begin();
  const chunks = writer.finish(encoder(writer, 0, value));
  const [only] = chunks;
  return chunks.length === 1 && Buffer.isBuffer(only) ? only : Buffer.concat(chunks);
}

export function decodeMessage<N extends MessageName>(name: N, version: number, buffer: Buffer): MessageTypes[N] {
  return decodeBody(codecsOf(name), version, buffer, 0).body as MessageTypes[N];
}

function compileInto<C>(
  compiled: (C | undefined)[],
  schema: MessageSchema,
  version: number,
  compile: (layout: ReturnType<typeof layoutOf>, label: string) => C,
): C {
  if (!Number.isInteger(version) || !inRange(version, schema.versions)) throw new ProtocolError(`${schema.name} has no version ${version}`);
  const codec = compile(layoutOf(schema, version), `${schema.name} v${version}`);
  compiled[version] = codec;
  return codec;
}
