/**
 * Stored objects of every kind, damaged at random from a seed, against what reads them: the decoders give a value or a
 * `FormatError`, the inspector always gives lines, and neither makes more than the bytes can hold (B65). Damage is made
 * inside as well, under CRCs that fit, or hardly any of it would get past them. 20,000 objects, or AUTOMQ_FUZZ_CASES.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decodePageTable } from '../../broker/log/format/checkpoint.ts';
import { decodeStates } from '../../broker/log/format/partition-state.ts';
import { decodeSeal } from '../../broker/log/format/seal.ts';
import { decodeSlices } from '../../broker/log/format/slices.ts';
import { assembleObject, parseWholeObject } from '../../broker/log/format/stored-object.ts';
import { describeObject } from '../../broker/log/inspect.ts';
import { ProducerState } from '../../broker/log/producer-state.ts';
import { ByteReader, FormatError } from '../../std/byte-reader.ts';
import { samples } from '../golden/formats/samples.ts';
import { mutate, Pick } from './mutate.ts';

const cases = Number(process.env['AUTOMQ_FUZZ_CASES'] ?? 20_000);
const seed = Number(process.env['AUTOMQ_FUZZ_SEED'] ?? 1);
/** The large one only makes it slow: its footer is a stream set's. */
const objects = samples.filter(({ bytes }) => bytes.length < 10_000);
const parts = objects.map(({ bytes }) => parseWholeObject(bytes));
const producers = samples.flatMap(({ states = [] }) =>
  states.flatMap((state) => (state.kind === 'full' && state.producers.length > 0 ? [state.producers] : [])),
);

interface Decoder {
  readonly name: string;
  readonly inputs: readonly Buffer[];
  /** Elements that it made. */
  readonly decode: (bytes: Buffer) => number;
}

const ofKind = (...kinds: readonly string[]) => parts.filter(({ trailer }) => kinds.includes(trailer.kind));
const decoders: readonly Decoder[] = [
  {
    name: 'slices',
    inputs: ofKind('group', 'stream-set').map(({ footer }) => footer),
    decode: (bytes) => decodeSlices(new ByteReader(bytes)).reduce((sum, { producers: batches, marks }) => sum + 1 + batches.length + marks.length, 0),
  },
  {
    name: 'states',
    inputs: ofKind('state', 'handover', 'checkpoint').map(({ content }) => content),
    decode: (bytes) =>
      decodeStates(new ByteReader(bytes)).reduce(
        (sum, state) => sum + 1 + (state.kind === 'full' ? state.entries.length + state.epochStarts.length : state.slices.length),
        0,
      ),
  },
  { name: 'page table', inputs: ofKind('checkpoint').map(({ footer }) => footer), decode: (bytes) => decodePageTable(bytes).length },
  { name: 'seal', inputs: ofKind('seal').map(({ footer }) => footer), decode: (bytes) => (decodeSeal(bytes).state.length >= 0 ? 1 : 0) },
  { name: 'producer state', inputs: producers, decode: (bytes) => ProducerState.decode(bytes, { maxProducers: 1e9, expirationMs: 1e9 }).size },
];

describe('damaged stored bytes', () => {
  for (const { name, inputs, decode } of decoders) {
    test(`${name}: a value or a FormatError, not more elements than bytes`, () => {
      const pick = new Pick(seed);
      let [decoded, refused] = [0, 0];
      for (let at = 0; at < cases; at++) {
        const bytes = mutate(pick.of(inputs), pick, pick.of(inputs));
        try {
          assert.ok(decode(bytes) <= bytes.length, `case ${at}: ${bytes.toString('hex')}`);
          decoded++;
        } catch (error) {
          if (!(error instanceof FormatError)) throw new Error(`case ${at} of seed ${seed}: ${bytes.toString('hex')}`, { cause: error });
          refused++;
        }
      }
      assert.ok(decoded > cases / 100 && refused > cases / 100, `${decoded} decoded, ${refused} refused: the damage reaches nothing`);
    });
  }

  test('the inspector tells what there is, in a bounded number of printable lines', () => {
    const pick = new Pick(seed);
    let deep = 0;
    for (let at = 0; at < cases / 2; at++) {
      const { trailer, content, footer } = pick.of(parts);
      const inside = pick.below(2) === 0;
      const bytes = inside
        ? withFittingCrcs(trailer, mutate(content, pick, content), mutate(footer, pick, footer))
        : mutate(pick.of(objects).bytes, pick, pick.of(objects).bytes);
      let lines: string[];
      try {
        lines = describeObject(bytes, bytes.length);
      } catch (error) {
        throw new Error(`case ${at} of seed ${seed}: ${bytes.toString('hex')}`, { cause: error });
      }
      assert.ok(lines.length > 0 && lines.length < 5_000);
      assert.ok(
        lines.every((line) => /^[\x20-\x7e…–]*$/.test(line)),
        lines.join('\n'),
      );
      if (inside && lines.length > 4) deep++;
    }
    assert.ok(deep > cases / 20, `${deep}`);
  });
});

function withFittingCrcs(trailer: ReturnType<typeof parseWholeObject>['trailer'], content: Buffer, footer: Buffer): Buffer {
  const { body } = assembleObject({ ...trailer, content: [content], contentBytes: content.length, footer });
  return Buffer.concat(body.chunks);
}
