/**
 * Every message in every version: what was encoded decodes to the same value, with nothing left over, in the middle of a larger buffer as well.
 * AUTOMQ_FUZZ_CASES (make fuzz) makes it that many values in all.
 */
import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import { codecsOf, decodeBody, encodeMessage } from '../../broker/protocol/codecs.ts';
import { layoutOf } from '../../broker/protocol/layout.ts';
import type { MessageName } from '../../broker/protocol/messages.gen.ts';
import { messageNames, schemaOf } from '../../broker/protocol/schema/messages.ts';
import { arbitraryStruct } from './arbitrary-message.ts';

const versions = messageNames.flatMap((name) => {
  const { first, last } = schemaOf(name)!.versions;
  return Array.from({ length: last - first + 1 }, (_, at) => ({ name: name as MessageName, version: first + at }));
});
const numRuns = Math.max(5, Math.ceil(Number(process.env['AUTOMQ_FUZZ_CASES'] ?? 0) / versions.length / 10));

for (const { name, version } of versions) {
  test(`${name} v${version} survives encoding`, () => {
    const layout = layoutOf(schemaOf(name)!, version);
    const codec = codecsOf(name);
    fc.assert(
      fc.property(arbitraryStruct(layout), (value) => {
        const bytes = encodeMessage(name, version, value as never);
        assert.deepStrictEqual(decodeBody(codec, version, bytes, 0), { body: value, trailingBytes: 0 });
        const inside = Buffer.concat([Buffer.from('before'), bytes, Buffer.from('after')]);
        assert.deepStrictEqual(decodeBody(codec, version, inside, 6), { body: value, trailingBytes: 5 });
      }),
      { seed: 20_260_701, numRuns },
    );
  });
}
