/**
 * Our codecs against bytes made by Apache Kafka's own classes: every message, every version, three samples each
 * (scripts/protocol-golden.ts makes the file). Decoding gives the values that Kafka was told to write; encoding them gives its bytes.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { gunzipSync } from 'node:zlib';
import { decodeMessage, encodeMessage } from '../../../broker/protocol/codecs.ts';
import { type FieldLayout, layoutOf, type StructLayout } from '../../../broker/protocol/layout.ts';
import type { MessageName } from '../../../broker/protocol/messages.gen.ts';
import { messageNames, schemaOf } from '../../../broker/protocol/schema/messages.ts';
import { projectRoot } from '../../tidy/project-files.ts';

interface Sample {
  readonly message: MessageName;
  readonly version: number;
  readonly hex: string;
  readonly json: Json;
}
type Json = Readonly<Record<string, unknown>>;

const samples = gunzipSync(readFileSync(join(projectRoot, 'test/golden/protocol/kafka.jsonl.gz')))
  .toString('utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Sample);

test('every message in every version has samples', () => {
  const seen = new Set(samples.map((sample) => `${sample.message} ${sample.version}`));
  for (const name of messageNames) {
    const { first, last } = schemaOf(name)!.versions;
    for (let version = first; version <= last; version++) assert.ok(seen.has(`${name} ${version}`), `${name} v${version}`);
  }
});

for (const name of messageNames) {
  test(`${name} decodes and encodes as Kafka does`, () => {
    for (const sample of samples.filter(({ message }) => message === name)) {
      const { message, version, hex, json } = sample;
      const layout = layoutOf(schemaOf(name)!, version);
      const expected = structOf(layout, json, true);
      const frame = Buffer.from(hex, 'hex');
      assert.deepStrictEqual(decodeMessage(message, version, frame), expected, `decode ${name} v${version}`);
      assert.equal(encodeMessage(message, version, expected as never).toString('hex'), hex, `encode ${name} v${version}`);
      const sparse = structOf(layout, json, false);
      assert.equal(encodeMessage(message, version, sparse as never).toString('hex'), hex, `encode what was set of ${name} v${version}`);
    }
  });
}

/** The value that Kafka wrote, as our decoder gives it; with `complete` the fields that it left out are at their defaults. */
function structOf(layout: StructLayout, json: Json, complete: boolean): Json {
  const entries = layout.fields
    .filter((field) => complete || field.name in json)
    .map((field) => [field.name, field.name in json ? valueOf(field, json[field.name], complete) : initialOf(field)]);
  return Object.fromEntries(entries) as Json;
}

function valueOf(field: FieldLayout, json: unknown, complete: boolean): unknown {
  if (json === null) return null;
  if (field.isArray) return (json as unknown[]).map((element) => elementOf(field, element, complete));
  return elementOf(field, json, complete);
}

function elementOf({ type }: FieldLayout, json: unknown, complete: boolean): unknown {
  if (typeof type === 'object') return structOf(type, json as Json, complete);
  return type === 'bytes' || type === 'records' ? Buffer.from(json as string, 'base64') : json;
}

function initialOf(field: FieldLayout): unknown {
  if (field.initial !== undefined) return field.initial;
  if (field.isArray) return [];
  return typeof field.type === 'object' ? structOf(field.type, {}, true) : Buffer.alloc(0);
}
