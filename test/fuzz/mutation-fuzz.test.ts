/**
 * Valid frames of every message, damaged at random from a seed, against the decoders: a value or a `ProtocolError`, nothing else; never more
 * elements than the budget of the frame's size; and what decodes encodes to something that decodes to the same. The encoded bytes come
 * from Kafka's own samples. 50,000 frames, or AUTOMQ_FUZZ_CASES (make fuzz); AUTOMQ_FUZZ_SEED replays another history.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { gunzipSync } from 'node:zlib';
import { codecsOf, decodeBody, decodeMessage, encodeMessage } from '../../broker/protocol/codecs.ts';
import { decodeRequest, decodeRequestHeader } from '../../broker/protocol/frames.ts';
import type { MessageName } from '../../broker/protocol/messages.gen.ts';
import { ProtocolError } from '../../broker/protocol/protocol-error.ts';
import { elementBudget } from '../../broker/protocol/reader.ts';
import { projectRoot } from '../tidy/project-files.ts';
import { mutate, Pick } from './mutate.ts';

interface Sample {
  readonly message: MessageName;
  readonly version: number;
  readonly bytes: Buffer;
}

const cases = Number(process.env['AUTOMQ_FUZZ_CASES'] ?? 50_000);
const seed = Number(process.env['AUTOMQ_FUZZ_SEED'] ?? 1);
const samples = readSamples();
const requests = samples.filter(({ message }) => message.endsWith('Request'));

test('damaged messages give a value or a ProtocolError', () => {
  const pick = new Pick(seed);
  let decoded = 0;
  for (let at = 0; at < cases; at++) {
    const sample = pick.of(samples);
    const frame = mutate(sample.bytes, pick, pick.of(samples).bytes);
    replayable(at, sample, frame, () => {
      const value = decodeOrRefuse(sample, frame);
      if (value === undefined) return;
      decoded += 1;
      assert.ok(elementsOf(value) <= elementBudget(frame.length));
      if (at % 16 === 0) encodesAgain(sample, value);
    });
  }
  assert.ok(decoded > cases / 50, `only ${decoded} of ${cases} frames decoded: the damage is too great to reach far`);
  assert.ok(decoded < cases, 'no frame was refused');
});

test('damaged request frames, header included, give a request or a ProtocolError', () => {
  const pick = new Pick(seed + 1);
  let refused = 0;
  for (let at = 0; at < cases / 4; at++) {
    const sample = pick.of(requests);
    const frame = mutate(requestFrame(sample), pick, pick.of(samples).bytes);
    replayable(at, sample, frame, () => {
      try {
        const header = decodeRequestHeader(frame);
        if (header.api && header.known) decodeRequest(header.api.key, header.apiVersion, frame, header.bodyOffset);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        refused += 1;
      }
    });
  }
  assert.ok(refused > 0);
});

function decodeOrRefuse({ message, version }: Sample, frame: Buffer): unknown {
  try {
    return decodeBody(codecsOf(message), version, frame, 0).body;
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

/** Bytes that are no UTF-8 grow by decoding, so that a string may have become too long: the encoder may refuse that, too. */
function encodesAgain({ message, version }: Sample, value: unknown): void {
  let again: Buffer;
  try {
    again = encodeMessage(message, version, value as never);
  } catch (error) {
    if (error instanceof ProtocolError) return;
    throw error;
  }
  assert.deepStrictEqual(decodeMessage(message, version, again), value);
}

function elementsOf(value: unknown): number {
  if (value === null || typeof value !== 'object' || Buffer.isBuffer(value)) return 0;
  if (Array.isArray(value)) return typeof value[0] === 'number' ? value.length / 8 : value.reduce<number>((sum, element) => sum + 1 + elementsOf(element), 0);
  return Object.values(value).reduce<number>((sum, field) => sum + elementsOf(field), 0);
}

function requestFrame({ message, version, bytes }: Sample): Buffer {
  const { key = -1, flexibleFrom } = codecsOf(message).schema;
  const header = Buffer.alloc(14);
  header.writeInt16BE(key, 0);
  header.writeInt16BE(version, 2);
  header.writeInt32BE(7, 4);
  header.writeInt16BE(4, 8);
  header.write('fuzz', 10);
  return Buffer.concat([header, version >= flexibleFrom ? Buffer.alloc(1) : Buffer.alloc(0), bytes]);
}

function replayable(at: number, sample: Sample, frame: Buffer, run: () => void): void {
  try {
    run();
  } catch (error) {
    throw new Error(`frame ${at} of seed ${seed}: ${sample.message} v${sample.version} ${frame.toString('hex')}`, { cause: error });
  }
}

function readSamples(): Sample[] {
  const lines = gunzipSync(readFileSync(join(projectRoot, 'test/golden/protocol/kafka.jsonl.gz')))
    .toString('utf8')
    .trim()
    .split('\n');
  return lines.map((line) => {
    const { message, version, hex } = JSON.parse(line) as { message: MessageName; version: number; hex: string };
    return { message, version, bytes: Buffer.from(hex, 'hex') };
  });
}
