/** Stored bytes of all format versions: today's programs read what was written then, and write the very same bytes. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { decodePageTable } from '../../../broker/log/format/checkpoint.ts';
import { decodeDoubts } from '../../../broker/log/format/doubts.ts';
import { decodeStates } from '../../../broker/log/format/partition-state.ts';
import { decodeSeal } from '../../../broker/log/format/seal.ts';
import { decodeSlices } from '../../../broker/log/format/slices.ts';
import { parseWholeObject } from '../../../broker/log/format/stored-object.ts';
import { describeObject } from '../../../broker/log/inspect.ts';
import { ByteReader } from '../../../std/byte-reader.ts';
import { projectRoot } from '../../tidy/project-files.ts';
import { pageTable, samples, seal } from './samples.ts';

const folder = join(projectRoot, 'test/golden/formats');

describe('stored formats', () => {
  for (const { name, version, bytes, slices, states, doubts } of samples) {
    const id = `v${version}-${name}`;
    const stored = gunzipSync(readFileSync(join(folder, `${id}.bin.gz`)));

    test(`${id}: is read as it was meant`, () => {
      const { trailer, content, footer } = parseWholeObject(stored);
      assert.equal(trailer.kind, name);
      assert.equal(trailer.version, version);
      assert.deepEqual(trailer.incarnation, { node: 3, epoch: 7 });
      if (slices) assert.deepEqual(decodeSlices(new ByteReader(footer)), slices);
      if (states) assert.deepEqual(decodeStates(new ByteReader(content)), states);
      if (doubts) assert.deepEqual(decodeDoubts(footer), doubts);
      if (name === 'checkpoint') assert.deepEqual(decodePageTable(footer), pageTable);
      if (name === 'seal') assert.deepEqual(decodeSeal(footer), seal);
    });

    test(`${id}: is written the same`, () => {
      assert.ok(bytes.equals(stored), 'a change of a stored format needs a new version, and a reader for the old one');
    });

    test(`${id}: is told by the inspector`, () => {
      assert.equal(`${describeObject(stored, stored.length).join('\n')}\n`, readFileSync(join(folder, `${id}.txt`), 'utf8'));
    });
  }
});
