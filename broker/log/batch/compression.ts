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
  try {
    return { kind: 'ok', bytes: decompressor(codec)(input, maxOutputBytes) };
  } catch (cause) {
    return { kind: 'invalid', message: cause instanceof Error ? cause.message : String(cause) };
  }
}

export function compress(codec: CodecName, input: Buffer): Buffer {
  switch (codec) {
    case 'uncompressed':
      return input;
    case 'gzip':
      return gzipSync(input);
    case 'snappy':
      return compressSnappy(input);
    case 'lz4':
      return compressLz4(input);
    case 'zstd':
      return compressZstd(input);
  }
}

/** They throw on anything that is not right. */
function decompressor(codec: number): (input: Buffer, maxOutputBytes: number) => Buffer {
  switch (codec) {
    case codecs.uncompressed:
      return (input) => input;
    case codecs.gzip:
      return (input, maxOutputLength) => gunzipSync(input, { maxOutputLength });
    case codecs.snappy:
      return decompressSnappy;
    case codecs.lz4:
      return decompressLz4;
    case codecs.zstd:
      return decompressZstd;
    default:
      throw new RangeError(`unknown compression type id: ${codec}`);
  }
}
