/**
 * CRC-32C (Castagnoli), the checksum of Kafka record batches and of our stored formats, over a native
 * implementation; and its algebra: the CRC of joined or patched bytes without reading them again.
 *
 * A CRC is a polynomial over GF(2): appending n bytes multiplies what came before by x^(8n). Polynomials are
 * reflected 32-bit words here, x^0 is the top bit. Source: M. Adler, zlib's crc32_combine (the method, not the code).
 */
import { crc32c as nativeCrc32c } from '@node-rs/crc32';

const POLYNOMIAL = 0x82f63b78;
const ONE = 0x80000000 | 0;
const X_TO_8 = 0x00800000;
/** Lengths up to 2^48: one table of 256 powers per byte of the length. */
const LENGTH_BYTES = 6;
const powers = powersOfX8();

/** Unsigned CRC-32C of `bytes`. With `initial`, the CRC of what came before, the CRC of both together. */
export function crc32c(bytes: Uint8Array, initial = 0): number {
  return nativeCrc32c(bytes, initial);
}

/** The CRC of A followed by B, from the CRC of each and the length of B. */
export function crc32cCombine(crcA: number, crcB: number, lengthB: number): number {
  return (crc32cShift(crcA, lengthB) ^ crcB) >>> 0;
}

/**
 * The CRC after some bytes were overwritten: `crc` was that of everything, `before` and `after` are the CRCs of a part that
 * was replaced by as many bytes, `bytesBehind` follow that part.
 */
export function crc32cPatch(crc: number, change: { readonly before: number; readonly after: number; readonly bytesBehind: number }): number {
  return (crc ^ crc32cShift(change.before ^ change.after, change.bytesBehind)) >>> 0;
}

function crc32cShift(crc: number, lengthBytes: number): number {
  let shifted = crc | 0;
  let rest = lengthBytes;
  for (let position = 0; rest > 0 && shifted !== 0; position += 1) {
    const digit = rest % 256;
    if (digit !== 0) shifted = multiply(powers[position * 256 + digit]!, shifted);
    rest = (rest - digit) / 256;
  }
  return shifted;
}

/** a · b modulo the polynomial. */
function multiply(a: number, b: number): number {
  let product = 0;
  let shiftedB = b;
  for (let restOfA = a; restOfA !== 0; restOfA <<= 1) {
    if (restOfA < 0) product ^= shiftedB;
    shiftedB = (shiftedB >>> 1) ^ (-(shiftedB & 1) & POLYNOMIAL);
  }
  return product;
}

/** [position · 256 + digit] = x^(8 · digit · 256^position). */
function powersOfX8(): Int32Array {
  const table = new Int32Array(LENGTH_BYTES * 256);
  let step = X_TO_8;
  for (let position = 0; position < LENGTH_BYTES; position += 1) {
    let power = ONE;
    for (let digit = 0; digit < 256; digit += 1) {
      table[position * 256 + digit] = power;
      power = multiply(step, power);
    }
    step = power;
  }
  return table;
}
