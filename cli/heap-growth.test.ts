import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { growthFlag } from './heap-growth.ts';

test('this V8 knows the flag: an unknown one would be ignored with a line on stderr', () => {
  const options = execFileSync(process.execPath, ['--v8-options'], { encoding: 'utf8', maxBuffer: 1 << 24 });
  assert.ok(options.includes(`${growthFlag} `));
});
