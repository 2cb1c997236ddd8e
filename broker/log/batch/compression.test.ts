import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { compressSync as snappyBlock } from 'snappy';
import { type CodecName, codecs, compress, decompress } from './compression.ts';
import { checkPortableWork, decompressPortably, storeAsZstd } from './zstd.ts';

const names = Object.keys(codecs) as CodecName[];
const compressing = names.filter((name) => name !== 'uncompressed');

const sample = Buffer.from(Array.from({ length: 1_000_000 }, (_, index) => 97 + ((index * index) % 11) + (index % 977 === 0 ? 10 : 0)));

function text(sizeBytes: number): Buffer {
  return sample.subarray(0, sizeBytes);
}

function decompressed(codec: CodecName, input: Buffer, limit = 1 << 24): Buffer {
  const outcome = decompress(codecs[codec], input, limit);
  assert.equal(outcome.kind, 'ok', JSON.stringify(outcome));
  return outcome.kind === 'ok' ? outcome.bytes : Buffer.alloc(0);
}

function refusal(codec: CodecName, input: Buffer, limit = 1 << 24): string {
  const outcome = decompress(codecs[codec], input, limit);
  return outcome.kind === 'invalid' ? outcome.message : 'accepted';
}

test('what was compressed comes back, in every codec and size', () => {
  for (const name of names) {
    for (const sizeBytes of [0, 1, 100, 32_768, 32_769, 65_536, 200_000, 1_000_000])
      assert.ok(decompressed(name, compress(name, text(sizeBytes))).equals(text(sizeBytes)), `${name} ${sizeBytes}`);
  }
});

test('output is refused from one byte past the limit on', () => {
  for (const name of compressing) {
    for (const sizeBytes of [1_000, 900_000]) {
      const input = compress(name, text(sizeBytes));
      assert.equal(decompressed(name, input, sizeBytes).length, sizeBytes);
      assert.notEqual(refusal(name, input, sizeBytes - 1), 'accepted', `${name} ${sizeBytes}`);
    }
  }
});

test('garbage, and good data with any byte changed or the end cut off, is an outcome and stays within the limit', () => {
  const sizeBytes = 3_000;
  for (const name of compressing) {
    const good = compress(name, text(sizeBytes));
    for (let cut = 0; cut < good.length; cut += 1 + (cut >> 4)) decompress(codecs[name], good.subarray(0, cut), sizeBytes);
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 4 }), fc.uint8Array({ maxLength: 60 }), (changes, garbage) => {
        const input = Buffer.from(good);
        for (const [position, value] of changes) input[position] = value;
        for (const tried of [input, Buffer.from(garbage), Buffer.concat([good.subarray(0, 16), garbage])]) {
          const outcome = decompress(codecs[name], tried, sizeBytes);
          assert.ok(outcome.kind === 'invalid' || outcome.bytes.length <= sizeBytes);
        }
      }),
      { numRuns: 300 },
    );
  }
});

test('an unknown codec is an outcome', () => {
  for (const codec of [5, 6, 7]) assert.equal(decompress(codec, Buffer.alloc(10), 100).kind, 'invalid');
});

test('snappy: one raw block, blocks in xerial’s framing, and joined streams', () => {
  const input = text(70_000);
  assert.ok(decompressed('snappy', snappyBlock(input)).equals(input));
  const framed = compress('snappy', input);
  assert.ok(decompressed('snappy', Buffer.concat([framed, framed])).equals(Buffer.concat([input, input])));
});

test('snappy: lengths that lie are refused before memory is asked for', () => {
  const huge = Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0]);
  assert.match(refusal('snappy', huge, 2 ** 40), /cannot hold/);
  assert.match(refusal('snappy', Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0x7f])), /length/);
  const framed = compress('snappy', text(100));
  for (const length of [-1, 0, 2 ** 31 - 1]) {
    const lying = Buffer.from(framed);
    lying.writeInt32BE(length, 16);
    assert.match(refusal('snappy', lying), /block of/, `${length}`);
  }
});

test('lz4: wrong header checksum, block sizes, dictionaries, missing ends are refused', () => {
  const good = compress('lz4', text(100_000));
  const changed = (position: number, value: number) => {
    const input = Buffer.from(good);
    input[position] = value;
    return input;
  };
  assert.notEqual(refusal('lz4', changed(6, good[6]! ^ 1)), 'accepted');
  assert.match(refusal('lz4', changed(4, good[4]! | 1)), /dictionary/);
  assert.match(refusal('lz4', changed(5, 0x30)), /block size/);
  assert.match(refusal('lz4', changed(0, 0)), /not a frame/);
  const endless = Buffer.from(good);
  endless.writeUInt32LE(0x7fff_ffff, 7);
  assert.match(refusal('lz4', endless), /block of/);
  assert.match(refusal('lz4', good.subarray(0, -4)), /without its end/);
});

test('zstd: every frame is looked at: joined and skippable ones pass, dictionaries and huge windows do not', () => {
  const input = text(1_000);
  const frame = compress('zstd', input);
  const skippable = Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
  assert.ok(decompressed('zstd', Buffer.concat([skippable, frame, skippable, frame])).equals(Buffer.concat([input, input])));
  assert.notEqual(refusal('zstd', Buffer.concat([frame, frame]), 1_999), 'accepted');
  const dictionary = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x01, 0x58, 0x01, 0x01, 0, 0]);
  assert.match(refusal('zstd', Buffer.concat([frame, dictionary])), /dictionary/);
  const window = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa0, 0x01, 0, 0]);
  assert.match(refusal('zstd', Buffer.concat([frame, window])), /window/);
  assert.match(refusal('zstd', Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xe0, ...Buffer.alloc(7, 0xff), 0x00, 1, 0, 0])), /more than/);
  assert.match(refusal('zstd', frame.subarray(0, -1)), /without its end/);
});

test('zstd without Node’s own: stored frames and the portable reader go together', () => {
  for (const sizeBytes of [0, 1, 131_072, 131_073, 1_000_000]) {
    const stored = storeAsZstd(text(sizeBytes));
    assert.ok(decompressPortably(stored, sizeBytes).equals(text(sizeBytes)));
    assert.ok(decompressed('zstd', stored).equals(text(sizeBytes)));
    if (sizeBytes > 0) assert.throws(() => decompressPortably(stored, sizeBytes - 1), /more than/);
  }
});

test('zstd: a tiny frame of run-length blocks does not get past the limit', () => {
  const blocks = Array.from({ length: 1_000 }, (_, index) => {
    const block = Buffer.alloc(4);
    block.writeUIntLE(131_072 * 8 + 2 + (index === 999 ? 1 : 0), 0, 3);
    return block;
  });
  const bomb = Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58]), ...blocks]);
  assert.notEqual(refusal('zstd', bomb, 1 << 20), 'accepted');
  assert.throws(() => decompressPortably(bomb, 1 << 20), /more than/);
});

test('zstd: a frame that would keep the portable reader busy for hours is refused, and so are frames without number', () => {
  checkPortableWork([{ windowBytes: 128 << 20, blocks: 8 }]);
  checkPortableWork([{ windowBytes: 2 << 20, blocks: 1_000 }]);
  assert.throws(() => checkPortableWork([{ windowBytes: 128 << 20, blocks: 100 }]), /too small/);
  const frame = compress('zstd', text(10));
  assert.equal(decompressed('zstd', Buffer.concat(Array.from({ length: 16 }, () => frame))).length, 160);
  assert.match(refusal('zstd', Buffer.concat(Array.from({ length: 17 }, () => frame))), /frames/);
});
