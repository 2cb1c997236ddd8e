/**
 * What brokers say to each other on the internal listener about who lives (design §11): Kafka's framing (int32 size), a version,
 * a kind. A ping asks for one incarnation and is answered with the process's newest; a probe asks a third broker, the
 * witness, to try the same from where it stands. Frames are tiny; anything else is a `FormatError` and ends the connection.
 *
 * Old and new talk during a roll, since a connection that ends is a suspicion: later versions only put fields behind those of a message,
 * which an older reader passes over, and add kinds, which an older reader answers with `unsupported`. Each writes its own version.
 */
import { ByteReader, FormatError } from '../../../std/byte-reader.ts';
import { ByteWriter } from '../../../std/byte-writer.ts';
import type { Incarnation, NodeId } from '../../../cluster/identifiers.ts';

/** An incarnation and where its process listens for other brokers. */
export interface Subject {
  readonly incarnation: Incarnation;
  readonly host: string;
  readonly port: number;
}

export interface Pong {
  readonly kind: 'pong';
  readonly node: NodeId;
  /** The newest that began in this process, 0 for none. */
  readonly epoch: number;
  /** Whether that one still lives. */
  readonly living: boolean;
}

/** `unavailable`: the witness could not look. */
export type ProbeOutcome = 'reached' | 'refused' | 'silent' | 'replaced' | 'unavailable';

export type SentMessage =
  | { readonly kind: 'ping'; readonly incarnation: Incarnation }
  | Pong
  | { readonly kind: 'probe'; readonly subject: Subject }
  | { readonly kind: 'probed'; readonly outcome: ProbeOutcome }
  /** A question of a kind, or version, that whoever answers does not know; it speaks `upTo`. */
  | { readonly kind: 'unsupported'; readonly upTo: number };

/** `unknown`: what a newer one said and this one does not know. */
export type InternalMessage = SentMessage | { readonly kind: 'unknown'; readonly version: number };

/**
 * What a pong says about the incarnation that was asked for. `over`: it has ended, its own process says so. `unknown`: a process of this
 * node that has not begun as many lives (it may be about to). `stranger`: the address belongs to another node now.
 */
export function meaningOf(pong: Pong, { node, epoch }: Incarnation): 'living' | 'over' | 'unknown' | 'stranger' {
  if (pong.node !== node) return 'stranger';
  if (pong.epoch < epoch) return 'unknown';
  return pong.epoch === epoch && pong.living ? 'living' : 'over';
}

export const internalVersion = 1;
const maxFrameBytes = 512;
const sizeBytes = 4;
const kinds = ['ping', 'pong', 'probe', 'probed', 'unsupported'] as const;
const outcomes: readonly ProbeOutcome[] = ['reached', 'refused', 'silent', 'replaced', 'unavailable'];

export function encodeMessage(message: SentMessage): Buffer {
  const writer = new ByteWriter(64);
  writer.u32(0);
  writer.u8(internalVersion);
  writer.u8(kinds.indexOf(message.kind));
  switch (message.kind) {
    case 'ping':
      writeIncarnation(writer, message.incarnation);
      break;
    case 'pong':
      writeIncarnation(writer, message);
      writer.u8(message.living ? 1 : 0);
      break;
    case 'probe':
      writeIncarnation(writer, message.subject.incarnation);
      writer.u16(message.subject.port);
      writer.string(message.subject.host);
      break;
    case 'probed':
      writer.u8(outcomes.indexOf(message.outcome));
      break;
    case 'unsupported':
      writer.u8(message.upTo);
      break;
  }
  const frame = writer.finish();
  frame.writeInt32BE(frame.length - sizeBytes, 0);
  return frame;
}

/** Cuts a byte stream into messages. */
export class InternalFrames {
  #rest: Buffer = Buffer.alloc(0);

  /** The messages that are complete now. Throws a `FormatError` for bytes that are none. */
  push(chunk: Buffer): readonly InternalMessage[] {
    const messages: InternalMessage[] = [];
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (bytes.length >= sizeBytes) {
      const size = bytes.readInt32BE(0);
      if (size < 2 || size > maxFrameBytes) throw new FormatError(`a frame of ${size} bytes`);
      if (bytes.length < sizeBytes + size) break;
      messages.push(decodeMessage(bytes.subarray(sizeBytes, sizeBytes + size)));
      bytes = bytes.subarray(sizeBytes + size);
    }
    this.#rest = Buffer.from(bytes);
    return messages;
  }
}

function decodeMessage(frame: Buffer): InternalMessage {
  const reader = new ByteReader(frame);
  const version = reader.u8();
  if (version === 0) throw new FormatError('version 0');
  const message = readMessage(reader, version);
  if (reader.remaining > 0 && version <= internalVersion) throw new FormatError(`${reader.remaining} bytes after a message`);
  return message;
}

function readMessage(reader: ByteReader, version: number): InternalMessage {
  const code = reader.u8();
  const kind = kinds[code];
  switch (kind) {
    case 'ping':
      return { kind, incarnation: readIncarnation(reader) };
    case 'pong':
      return { kind, ...readIncarnation(reader), living: reader.u8() === 1 };
    case 'probe': {
      const incarnation = readIncarnation(reader);
      const port = reader.u16();
      return { kind, subject: { incarnation, host: reader.string(), port } };
    }
    case 'probed': {
      const outcome = outcomes[reader.u8()];
      if (outcome === undefined && version > internalVersion) return { kind, outcome: 'unavailable' };
      if (outcome === undefined) throw new FormatError('unknown outcome');
      return { kind, outcome };
    }
    case 'unsupported':
      return { kind, upTo: reader.u8() };
    default:
      if (version > internalVersion) return { kind: 'unknown', version };
      throw new FormatError(`unknown kind ${code}`);
  }
}

function writeIncarnation(writer: ByteWriter, { node, epoch }: Incarnation): void {
  writer.i32(node);
  writer.i64(epoch);
}

function readIncarnation(reader: ByteReader): Incarnation {
  return { node: reader.i32() as NodeId, epoch: reader.i64() };
}
