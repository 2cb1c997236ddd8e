/** Apache Kafka's kafka-features rolls our broker from storage version 1 to 2; the way back is closed, and says so (docs/design/0006-versions.md). */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { startBroker } from '../lab/broker.ts';
import { kafkaTool } from '../lab/kafka.ts';
import { kcat } from './kcat-client.ts';

const older = ['--storage.version.max=1'];

test('a roll of one broker, finalized by kafka-features', { timeout: 180_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'automq-features-'));
  let broker = await startBroker({ folder, settings: older });
  const features = async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await kafkaTool('kafka-features', ['--bootstrap-server', broker.bootstrap, ...args]);
    return { code, text: stdout + stderr };
  };
  const described = async () => (await features('describe')).text.split('\n').find((line) => line.includes('automq.storage'));
  const restart = async (settings: readonly string[]) => {
    assert.equal((await broker.program.stop()).code, 0);
    broker = await startBroker({ folder, settings });
  };
  const finalized = (max: number, level: number) =>
    new RegExp(`automq\\.storage\\s+SupportedMinVersion: 1\\s+SupportedMaxVersion: ${max}\\s+FinalizedVersionLevel: ${level}`);
  try {
    await kcat(['-P', '-b', broker.bootstrap, '-t', 'rolled'], { stdin: 'one\n' });
    assert.match((await described()) ?? '', finalized(1, 1));
    const early = await features('upgrade', '--feature', 'automq.storage=2');
    assert.notEqual(early.code, 0);
    assert.match(early.text, /Broker 0 supports automq\.storage 1 to 1 only/);

    await restart([]);
    assert.match((await described()) ?? '', finalized(2, 1));
    await restart(older);
    await kcat(['-P', '-b', broker.bootstrap, '-t', 'rolled'], { stdin: 'two\n' });
    await restart([]);
    const dry = await features('upgrade', '--feature', 'automq.storage=2', '--dry-run');
    assert.equal(dry.code, 0, dry.text);
    assert.match((await described()) ?? '', finalized(2, 1));
    const upgrade = await features('upgrade', '--feature', 'automq.storage=2');
    assert.equal(upgrade.code, 0, upgrade.text);
    assert.match((await described()) ?? '', finalized(2, 2));

    const back = await features('downgrade', '--feature', 'automq.storage=1');
    assert.notEqual(back.code, 0);
    assert.match(back.text, /cannot be taken back to 1: objects of version 2 may exist/);
    assert.equal((await broker.program.stop()).code, 0);
    await assert.rejects(startBroker({ folder, settings: older }), /automq broker: the cluster is finalized at storage version 2, this program reads 1 to 1/);
    broker = await startBroker({ folder, settings: [] });
    const read = await kcat(['-C', '-b', broker.bootstrap, '-t', 'rolled', '-o', 'beginning', '-e', '-q']);
    assert.deepEqual(read.trim().split('\n'), ['one', 'two']);
  } finally {
    await broker.program.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});
