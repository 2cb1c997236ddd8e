/**
 * The codecs of record batches (KIP-98, KIP-110), synchronous, for cold paths only. Output is bounded before memory is
 * asked for: lengths inside compressed data come from strangers.
 */
import { gzipSync, gunzipSync } from 'node:zlib';
import { compressLz4, decompressLz4 } from './lz4.ts';
import { compressSnappy, decompressSnappy } from './snappy.ts';
import { compressZstd, decompressZstd } from './zstd.ts';

/** Codec ids in the attributes of a batch, by the names of the configuration. */
export const codecs = { uncompressed: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 } as const;
export type CodecName = keyof typeof codecs;

export type Decompressed = { readonly kind: 'ok'; readonly bytes: Buffer } | { readonly kind: 'invalid'; readonly message: string };

export function decompress(codec: number, input: Buffer, maxOutputBytes: number): Decompressed {
  const decompressor = decompressors[codec];
  if (decompressor === undefined) return { kind: 'invalid', message: `Unknown compression type id: ${codec}` };
  try {
    return { kind: 'ok', bytes: decompressor(input, maxOutputBytes) };
  } catch (cause) {
    return { kind: 'invalid', message: cause instanceof Error ? cause.message : String(cause) };
  }
}

export function compress(codec: CodecName, input: Buffer): Buffer {
  return compressors[codec](input);
}

const compressors: Readonly<Record<CodecName, (input: Buffer) => Buffer>> = {
  uncompressed: (input) => input,
  gzip: (input) => gzipSync(input),
  snappy: compressSnappy,
  lz4: compressLz4,
  zstd: compressZstd,
};

/** By codec id. They throw on anything that is not right. */
const decompressors: readonly ((input: Buffer, maxOutputBytes: number) => Buffer)[] = [
  (input) => input,
  (input, maxOutputLength) => gunzipSync(input, { maxOutputLength: Math.max(1, maxOutputLength) }),
  decompressSnappy,
  decompressLz4,
  decompressZstd,
];
