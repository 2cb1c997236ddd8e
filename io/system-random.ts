/** Chance from the operating system. Drawn in blocks: one system call per 4 KiB, not per number. */
import { randomBytes, randomFillSync } from 'node:crypto';
import type { Random } from './random.ts';

const pool = Buffer.allocUnsafe(4096);
let used = pool.length;

export const systemRandom: Random = {
  float,
  below: (bound) => Math.floor(float() * bound),
  bytes: (length) => randomBytes(length),
};

/** 53 random bits, the most that a double in [0, 1) can tell apart. */
function float(): number {
  if (used + 7 > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const bits = pool.readUIntBE(used, 6) * 32 + (pool.readUInt8(used + 6) >>> 3);
  used += 7;
  return bits / 2 ** 53;
}
