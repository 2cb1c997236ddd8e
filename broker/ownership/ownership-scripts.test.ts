/**
 * Scripts of whole clusters: commands and who owned what afterwards, in scripts/*.txt. `UPDATE_SCRIPTS=1` rewrites the transcripts; the diff is
 * the review.
 *
 * Commands: `start N` · `topic NODE…` (partition i begins at the i-th) · `write PARTITION COUNT` · `move PARTITION NODE` · `trim PARTITION` (deletes all
 * records) · `kill|end|begin NODE` · `served` (waits until every partition is) · `rest MS` · `show`.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import type { TopicId } from '../../cluster/identifiers.ts';
import { keys } from '../../cluster/meta-records.ts';
import { projectRoot } from '../../test/tidy/project-files.ts';
import { BrokersOnMemory } from '../testing/brokers-on-memory.ts';

const folder = join(projectRoot, 'broker/ownership/scripts');

for (const file of readdirSync(folder).sort()) {
  test(`the script ${file} gives its transcript`, async () => {
    const path = join(folder, file);
    const expected = readFileSync(path, 'utf8');
    const actual = await play(expected);
    if (process.env['UPDATE_SCRIPTS'] === '1') writeFileSync(path, actual);
    else assert.equal(actual, expected);
  });
}

async function play(text: string): Promise<string> {
  let script: Script | undefined;
  const lines: string[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('    ')) continue;
    lines.push(line);
    if (line === '' || line.startsWith('#')) continue;
    const [command = '', ...words] = line.split(' ');
    const numbers = words.map(Number);
    if (command === 'start') script = new Script(await BrokersOnMemory.start(numbers[0] ?? 1));
    else lines.push(...((await script?.run(command, numbers)) ?? []).map((output) => `    ${output}`));
  }
  await script?.on.close();
  return lines.join('\n');
}

class Script {
  readonly on: BrokersOnMemory;
  #topicId: TopicId | undefined;
  #partitions = 0;

  constructor(on: BrokersOnMemory) {
    this.on = on;
  }

  async run(command: string, numbers: readonly number[]): Promise<readonly string[]> {
    const { on } = this;
    const [first = 0, second = 0] = numbers;
    switch (command) {
      case 'topic':
        this.#topicId = await on.createTopic('rides', numbers);
        this.#partitions = numbers.length;
        return [];
      case 'write':
        for (let i = 0; i < second; i++) await on.append(this.#log(first));
        return [];
      case 'move':
        await on.move(this.#topic, second, first);
        return [];
      case 'trim':
        await on.until(this.#log(first).deleteRecordsBefore(this.#log(first).highWatermark));
        return [];
      case 'kill':
        on.kill(first);
        return [];
      case 'end':
        await on.end(first);
        return [];
      case 'begin':
        await on.begin(first);
        return [];
      case 'served':
        await on.eventually('all are served', () => this.#all.every((partition) => on.ownersOf(this.#topic, partition).length === 1));
        return [];
      case 'rest':
        await on.rest(first);
        return [];
      case 'show':
        return this.#show();
      default:
        assert.fail(`no such command: ${command}`);
    }
  }

  async #show(): Promise<string[]> {
    const { on } = this;
    const holds = Object.keys(await on.holds(this.#topic));
    const lines: string[] = [];
    for (const partition of this.#all) {
      const { owner, leaderEpoch } = await on.record(this.#topic, partition);
      assert.deepEqual(on.ownersOf(this.#topic, partition), [owner.node]);
      const offsets = await on.readAll(this.#log(partition));
      const from = this.#log(partition).logStartOffset;
      assert.deepEqual(
        offsets,
        Array.from({ length: offsets.length }, (_, i) => from + i),
      );
      const held = holds.filter((hold) => hold.endsWith(`/${partition}`)).map((hold) => hold.split('/')[0]);
      lines.push(
        `${partition}: at ${owner.node}/${owner.epoch} since ${leaderEpoch}, offsets ${from} to ${from + offsets.length}, holds on ${held.join() || 'nobody'}`,
      );
    }
    const claims = await on.until(on.meta.list(keys.recoveries));
    for (const { key, value } of claims.entries)
      lines.push(`${key.slice(keys.recoveries.length)} ${value.includes('"ended":true') ? 'has ended' : 'is being recovered'}`);
    await on.check();
    return lines;
  }

  get #all(): readonly number[] {
    return Array.from({ length: this.#partitions }, (_, i) => i);
  }

  get #topic(): TopicId {
    assert.ok(this.#topicId);
    return this.#topicId;
  }

  #log(partition: number) {
    const [owner = 0] = this.on.ownersOf(this.#topic, partition);
    return this.on.log(owner, this.#topic, partition);
  }
}
