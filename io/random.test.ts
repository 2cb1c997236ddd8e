import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Random } from './random.ts';
import { SeededRandom } from './seeded-random.ts';
import { systemRandom } from './system-random.ts';

const kinds: readonly (readonly [string, Random])[] = [
  ['system', systemRandom],
  ['seeded', new SeededRandom('random.test')],
];

for (const [name, random] of kinds) {
  test(`${name}: floats lie in [0, 1) and fill it evenly`, () => {
    const buckets = Array.from({ length: 16 }, () => 0);
    for (let i = 0; i < 16_000; i++) {
      const value = random.float();
      assert.ok(value >= 0 && value < 1);
      const bucket = Math.floor(value * 16);
      buckets[bucket] = (buckets[bucket] ?? 0) + 1;
    }
    // Ten standard deviations around 1,000: never by chance.
    for (const count of buckets) assert.ok(count > 700 && count < 1_300, buckets.join(' '));
  });

  test(`${name}: below() reaches every value and never its bound`, () => {
    const seen = new Set<number>();
    for (let i = 0; i < 2_000; i++) seen.add(random.below(7));
    assert.deepEqual(
      [...seen].sort((a, b) => a - b),
      [0, 1, 2, 3, 4, 5, 6],
    );
    assert.equal(random.below(1), 0);
  });

  test(`${name}: bytes() has the length asked for and does not repeat`, () => {
    for (const length of [0, 1, 3, 16, 5_000]) assert.equal(random.bytes(length).length, length);
    assert.notDeepEqual(random.bytes(16), random.bytes(16));
  });
}

test('the same seed gives the same history, another seed another one', () => {
  const draw = (random: Random) => [random.float(), random.below(1_000_000), random.bytes(9).toString('hex'), random.float()];
  assert.deepEqual(draw(new SeededRandom(42)), draw(new SeededRandom('42')));
  assert.notDeepEqual(draw(new SeededRandom(42)), draw(new SeededRandom(43)));
});

test('a fork depends on seed and label only, not on what was drawn before', () => {
  const root = new SeededRandom('root');
  const before = root.fork('broker-1');
  root.float();
  const after = root.fork('broker-1');
  assert.equal(before.seed, after.seed);
  assert.deepEqual(before.bytes(64), after.bytes(64));
  assert.notDeepEqual(root.fork('broker-2').bytes(64), root.fork('broker-1').bytes(64));
  assert.notDeepEqual(new SeededRandom('root').bytes(64), root.fork('broker-1').bytes(64));
});
