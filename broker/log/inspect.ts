/**
 * `automq storage inspect KEY`: what a stored object says, as lines of text. Robust against any bytes: what cannot be read is
 * told as a line, and nothing is printed that could be taken for a terminal's command.
 */
import { ByteReader, FormatError } from '../../std/byte-reader.ts';
import { bucketRootKey } from './bucket-root.ts';
import { type CertainReads, untilCertain } from './certain-reads.ts';
import { decodePageTable } from './format/checkpoint.ts';
import { decodeDoubts } from './format/doubts.ts';
import { decodeStates, type IndexEntry, type PartitionState } from './format/partition-state.ts';
import { decodeSeal } from './format/seal.ts';
import { decodeSlices, type Slice } from './format/slices.ts';
import { footerWithin, parseWholeObject } from './format/stored-object.ts';
import { decodeTrailer, type Trailer, trailerBytes } from './format/trailer.ts';
import { ProducerState } from './producer-state.ts';

export interface InspectOptions extends CertainReads {
  /** An object that is larger is told by its footer alone. */
  readonly maxWholeBytes: number;
}

const tailBytes = 64 * 1024;
/** Of one list, and of lists inside lists: hostile bytes must not become millions of lines. */
const maxListed = 200;
const maxNested = 50;
const maxBatches = 20;

/** Undefined: no such object. */
export async function inspectObject(key: string, options: InspectOptions): Promise<string[] | undefined> {
  const { objects } = options;
  const tail = await untilCertain(options, () => objects.readTail(key, tailBytes));
  if (tail.kind === 'missing') return undefined;
  if (key === bucketRootKey) return describeRoot(tail.bytes);
  let { bytes } = tail;
  const wanted = neededBytes(tail.bytes, tail.sizeBytes, options.maxWholeBytes);
  if (wanted > bytes.length) {
    const more = await untilCertain(options, () => objects.readTail(key, wanted));
    if (more.kind === 'missing') return undefined;
    bytes = more.bytes;
  }
  return describeObject(bytes, tail.sizeBytes);
}

/** Lines about an object of `objectBytes`, of which `tail` are the last bytes, or all. */
export function describeObject(tail: Buffer, objectBytes: number): string[] {
  const lines = [`${objectBytes} bytes`];
  attempt(lines, 'trailer', () => {
    const trailer = decodeTrailer(tail, objectBytes);
    lines.push(...trailerLines(trailer));
    const footer = footerWithin(trailer, tail);
    if (!footer) lines.push('the footer is longer than what was read');
    const whole = tail.length === objectBytes;
    if (whole) attempt(lines, 'content', () => void parseWholeObject(tail));
    else lines.push('content not read, its CRC not checked');
    if (footer) attempt(lines, trailer.kind, () => lines.push(...contentLines(trailer, footer, whole ? tail.subarray(0, trailer.footerPosition) : undefined)));
  });
  return lines;
}

/** Of states and checkpoints the content matters, of others the footer. */
function neededBytes(tail: Buffer, objectBytes: number, maxWholeBytes: number): number {
  try {
    const { kind, footerLength } = decodeTrailer(tail, objectBytes);
    const whole = objectBytes <= maxWholeBytes && (kind === 'state' || kind === 'handover' || kind === 'checkpoint');
    return whole ? objectBytes : Math.min(footerLength + trailerBytes, maxWholeBytes);
  } catch (error) {
    if (error instanceof FormatError) return 0;
    throw error;
  }
}

function describeRoot(bytes: Buffer): string[] {
  return ['the root object: whose bucket this is', shown(bytes.toString('utf8').trim())];
}

function trailerLines(trailer: Trailer): string[] {
  const { kind, version, incarnation, number, putId, footerPosition, footerLength, footerCrc, contentCrc } = trailer;
  return [
    `${kind}, format version ${version}, number ${number} of node ${incarnation.node}, epoch ${incarnation.epoch}, put id ${putId.toString('hex')}`,
    `content ${footerPosition} bytes, footer ${footerLength} bytes (CRC ${hex(footerCrc)}), CRC of both ${hex(contentCrc)}`,
  ];
}

function contentLines({ kind, version }: Trailer, footer: Buffer, content: Buffer | undefined): string[] {
  switch (kind) {
    case 'group':
    case 'stream':
    case 'stream-set':
      return listed(decodeSlices(new ByteReader(footer)), 'slices', sliceLines);
    case 'state':
      return [...doubtLines(version, footer), ...statesIn(content)];
    case 'handover':
      return statesIn(content);
    case 'checkpoint':
      return checkpointLines(footer, content);
    case 'seal': {
      const { sealedBy, state } = decodeSeal(footer);
      return [`sealed by node ${sealedBy.node}, epoch ${sealedBy.epoch}; what came before: ${shown(state)}`];
    }
    case 'start':
      return [];
  }
}

function statesIn(content: Buffer | undefined): string[] {
  return content ? stateLines(content) : ['states not read: the object is too large'];
}

function doubtLines(version: number, footer: Buffer): string[] {
  return version < 2 ? [] : listed(decodeDoubts(footer), 'objects could not be read then', (key) => [shown(key)]);
}

function checkpointLines(footer: Buffer, content: Buffer | undefined): string[] {
  return listed(decodePageTable(footer), 'pages', ({ page, object, position, length, crc }) => [
    `page ${page}: ${shown(object)}, bytes ${position} to ${position + length - 1}, CRC ${hex(crc)}`,
  ]).concat(content && content.length > 0 ? ['pages in this object:', ...pagesIn(content)] : []);
}

/** Pages lie one behind the other. */
function pagesIn(content: Buffer): string[] {
  const reader = new ByteReader(content);
  const lines: string[] = [];
  while (reader.remaining > 0 && lines.length < maxListed) lines.push(...listed(decodeStates(reader), 'partitions', partitionLines));
  if (reader.remaining > 0) lines.push(`… ${reader.remaining} bytes more`);
  return lines;
}

function stateLines(content: Buffer): string[] {
  return listed(decodeStates(new ByteReader(content)), 'partitions', partitionLines);
}

function partitionLines(state: PartitionState): string[] {
  const name = `${state.topicId}/${state.partition}, leader epoch ${state.leaderEpoch}`;
  if (state.kind === 'derived') {
    const slices = listed(state.slices, 'slices', ({ object, slice }) => [`in ${shown(object)}:`, ...sliceLines(slice)], maxNested);
    return [`${name}: continues ${state.base === '' ? 'an empty log' : shown(state.base)}`, ...indented(slices)];
  }
  const epochs = state.epochStarts.map(({ leaderEpoch, startOffset }) => `${leaderEpoch} from ${startOffset}`);
  return [
    `${name}: ${state.endOffset === state.logStartOffset ? 'no records' : `offsets ${state.logStartOffset} to ${state.endOffset - 1}`}, leader epochs ${epochs.slice(0, maxNested).join(', ') || 'none'}`,
    ...indented([...listed(state.entries, 'entries', entryLines, maxNested), ...producerLines(state.producers)]),
  ];
}

function entryLines({ firstOffset, lastOffset, object, position, length, maxTimestampMs }: IndexEntry): string[] {
  return [`offsets ${firstOffset} to ${lastOffset}: ${shown(object)}, bytes ${position} to ${position + length - 1}, newest ${time(maxTimestampMs)}`];
}

function producerLines(bytes: Buffer): string[] {
  const lines: string[] = [];
  attempt(lines, 'producers', () => {
    const producers = ProducerState.decode(bytes, { maxProducers: Number.MAX_SAFE_INTEGER, expirationMs: Number.MAX_SAFE_INTEGER }).active();
    if (producers.length === 0) return;
    lines.push(
      ...listed(
        producers,
        'producers',
        ({ producerId, producerEpoch, lastSequence, currentTransactionFirstOffset }) => [
          `producer ${producerId}, epoch ${producerEpoch}, last sequence ${lastSequence}${currentTransactionFirstOffset < 0 ? '' : `, in a transaction from offset ${currentTransactionFirstOffset}`}`,
        ],
        maxNested,
      ),
    );
  });
  return lines;
}

function sliceLines(slice: Slice): string[] {
  const { topicId, partition, leaderEpoch, firstOffset, lastOffset, logStartOffset, position, length, maxTimestampMs, crc, base, producers, marks } = slice;
  const lines = [
    `${topicId}/${partition}, leader epoch ${leaderEpoch}: ${length === 0 ? `no records, next offset ${firstOffset}` : `offsets ${firstOffset} to ${lastOffset}, bytes ${position} to ${position + length - 1}, newest ${time(maxTimestampMs)}, CRC ${hex(crc)}`}, log start ${logStartOffset}`,
  ];
  if (base !== undefined) lines.push(`  continues ${base === '' ? 'an empty log' : shown(base)}`);
  if (marks.length > 0) {
    const told = marks.slice(0, maxNested).map(({ offset, position: at }) => `${offset} at ${at}`);
    lines.push(`  ${marks.length} marks: ${told.join(', ')}${marks.length > maxNested ? ', …' : ''}`);
  }
  const batches = listed(
    producers,
    'batches of producers',
    ({ producerId, producerEpoch, firstSequence, lastSequence, firstOffset: first, lastOffset: last, kind }) => [
      `offsets ${first} to ${last}: ${kind}, producer ${producerId}, epoch ${producerEpoch}, sequences ${firstSequence} to ${lastSequence}`,
    ],
    maxBatches,
  );
  return producers.length > 0 ? [...lines, ...indented(batches)] : lines;
}

function listed<T>(items: readonly T[], what: string, describe: (item: T) => string[], most = maxListed): string[] {
  const lines = [`${items.length} ${what}`, ...items.slice(0, most).flatMap((item) => indented(describe(item)))];
  if (items.length > most) lines.push(`  … ${items.length - most} ${what} more`);
  return lines;
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}

function attempt(lines: string[], what: string, read: () => void): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    lines.push(`${what} DAMAGED: ${shown(error.message)}`);
  }
}

/** Text out of stored bytes, without anything that a terminal would obey. */
function shown(text: string): string {
  return text.slice(0, 500).replace(/[^\x20-\x7e]/g, (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`);
}

function time(timestampMs: number): string {
  return timestampMs < 0 ? 'unknown' : `${timestampMs} ms`;
}

function hex(crc: number): string {
  return crc.toString(16).padStart(8, '0');
}
