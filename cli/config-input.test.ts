import assert from 'node:assert/strict';
import { totalmem } from 'node:os';
import test from 'node:test';
import { readConfig } from './config-input.ts';

test('brokers that share a machine are planned within their part of it, heap included', () => {
  for (const brokers of [2, 3, 8]) {
    const alone = readConfig({ file: undefined, flags: [] });
    const shared = readConfig({ file: undefined, flags: [], brokers });
    // A machine that is too small for so many is told so.
    if (shared.kind === 'refused') {
      assert.match(shared.text, /not enough memory|too little memory/);
      continue;
    }
    const { logCacheBytes, blockCacheBytes, uploadMaxBytes, queuedMaxRequestBytes, queuedMaxResponseBytes } = shared.config;
    const parts = logCacheBytes + blockCacheBytes + uploadMaxBytes + queuedMaxRequestBytes + queuedMaxResponseBytes;
    assert.ok(brokers * (shared.heapBytes + parts) <= totalmem(), `${brokers}`);
    assert.ok(alone.kind === 'refused' || shared.heapBytes <= alone.heapBytes);
    const again = readConfig({ file: undefined, flags: shared.planned });
    assert.ok(again.kind === 'refused' || again.config.logCacheBytes === logCacheBytes, 'the flags make another process plan the same');
  }
});
