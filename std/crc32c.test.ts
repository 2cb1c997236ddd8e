import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { crc32c, crc32cCombine, crc32cPatch } from './crc32c.ts';

test('the check value of the Castagnoli polynomial', () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283);
  assert.equal(crc32c(Buffer.alloc(0)), 0);
  assert.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa);
  assert.equal(crc32c(Buffer.alloc(32, 0xff)), 0x62a8ab43);
});

test('a CRC that is carried on equals the CRC of the whole', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
      assert.equal(crc32c(b, crc32c(a)), crc32c(Buffer.concat([a, b])));
    }),
  );
});

test('combined CRCs equal the CRC of the joined bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array({ maxLength: 3000 }), (a, b) => {
      assert.equal(crc32cCombine(crc32c(a), crc32c(b), b.length), crc32c(Buffer.concat([a, b])));
    }),
  );
});

test('combining works for every size of the second part, and is associative past what fits in memory', () => {
  const head = crc32c(Buffer.from('head'));
  for (const length of [0, 1, 255, 256, 257, 65_535, 65_536, 70_000, 1_000_003]) {
    const tail = Buffer.alloc(length, 0x5a);
    assert.equal(crc32cCombine(head, crc32c(tail), length), crc32c(tail, head), `${length}`);
  }
  // The CRC of 2^33 zeros is that of 2^32 zeros twice.
  let zeros = crc32c(Buffer.alloc(1));
  for (let length = 1; length < 2 ** 32; length *= 2) zeros = crc32cCombine(zeros, zeros, length);
  assert.equal(crc32cCombine(head, crc32cCombine(zeros, zeros, 2 ** 32), 2 ** 33), crc32cCombine(crc32cCombine(head, zeros, 2 ** 32), zeros, 2 ** 32));
});

test('a patched CRC equals the CRC of the patched bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.uint8Array(), fc.nat(), (front, part, behind, noise) => {
      const replaced = part.map((byte, index) => byte ^ ((noise >>> (index % 24)) & 0xff));
      const crc = crc32c(Buffer.concat([front, part, behind]));
      assert.equal(
        crc32cPatch(crc, { before: crc32c(part), after: crc32c(replaced), bytesBehind: behind.length }),
        crc32c(Buffer.concat([front, replaced, behind])),
      );
    }),
  );
});
