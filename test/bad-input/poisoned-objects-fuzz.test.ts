/**
 * One object of a broker's bucket was changed by somebody else (B65): its bytes are damaged, or its checksums fit and its content lies. The
 * broker refuses to start with the object's name, or gives up the partitions that need it and serves the others; it neither hangs nor fails
 * by accident. AUTOMQ_FUZZ_CASES (make fuzz) makes it more than 100 objects; AUTOMQ_FUZZ_SEED replays another history.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LivesOnMemory } from '../../broker/testing/lives-on-memory.ts';
import { assembleObject, parseWholeObject } from '../../broker/log/format/stored-object.ts';
import type { TopicId } from '../../cluster/identifiers.ts';
import { FormatError } from '../../std/byte-reader.ts';
import { mutate, Pick } from '../fuzz/mutate.ts';

const cases = Math.ceil(Number(process.env['AUTOMQ_FUZZ_CASES'] ?? 10_000) / 200);
const seed = Number(process.env['AUTOMQ_FUZZ_SEED'] ?? 1);
const partitions = 3;

describe('poisoned objects', () => {
  test(`${cases} objects with damaged bytes`, async (t) => {
    const pick = new Pick(seed);
    const outcomes = new Map<string, number>();
    for (let at = 0; at < cases; at++) count(outcomes, await withPoison(at, pick, (bytes) => mutate(bytes, pick, bytes)));
    t.diagnostic(JSON.stringify(Object.fromEntries(outcomes)));
  });

  test(`${cases} objects whose checksums fit`, async (t) => {
    const pick = new Pick(seed + 1);
    const outcomes = new Map<string, number>();
    for (let at = 0; at < cases; at++) count(outcomes, await withPoison(at, pick, (bytes) => forgedObject(bytes, pick)));
    t.diagnostic(JSON.stringify(Object.fromEntries(outcomes)));
  });
});

/** Footer or content lie; the rest is as it was. */
function forgedObject(bytes: Buffer, pick: Pick): Buffer {
  const { trailer, content, footer } = parseWholeObject(bytes);
  const inFooter = footer.length > 0 && (content.length === 0 || pick.below(3) > 0);
  const forged = {
    content: inFooter ? content : mutate(content, pick, content),
    footer: inFooter ? mutate(footer, pick, footer) : footer,
  };
  const { body } = assembleObject({ ...trailer, content: [forged.content], contentBytes: forged.content.length, footer: forged.footer });
  return Buffer.concat(body.chunks);
}

async function withPoison(at: number, pick: Pick, poison: (bytes: Buffer) => Buffer): Promise<string> {
  const { on, topicId } = await writtenStore(at);
  on.kill();
  const keys = await on.keys();
  const key = pick.of(keys);
  const found = await on.objects.read(key);
  assert.ok(found.kind === 'found');
  const poisoned = poison(found.bytes);
  await on.objects.delete([key]);
  await on.objects.create(key, { chunks: [poisoned], sizeBytes: poisoned.length, crc32c: 0 });
  try {
    return await outcomeOf(on, topicId);
  } catch (error) {
    throw new Error(`case ${at} of seed ${seed}: ${key} of ${found.bytes.length} bytes, ${poisoned.subarray(0, 500).toString('hex')}: ${String(error)}`, {
      cause: error,
    });
  }
}

async function outcomeOf(on: LivesOnMemory, topicId: TopicId): Promise<string> {
  try {
    await on.begin();
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    assert.match(error.message, /\b(?:wal|data)\/\d+\/\d{12}\/\d{12}\b/, 'the message names an object');
    return 'refuses to start';
  }
  const served: string[] = [];
  for (let partition = 0; partition < partitions; partition++) served.push(await servedPartition(on, topicId, partition));
  await on.rest(5_000);
  await on.end();
  return served.includes('damaged') ? 'a partition is damaged' : 'serves';
}

async function servedPartition(on: LivesOnMemory, topicId: TopicId, partition: number): Promise<string> {
  const found = on.life.services.partitions.find(topicId, partition);
  if (found.kind === 'failed') return 'damaged';
  assert.equal(found.kind, 'owned');
  if (found.kind !== 'owned') return '';
  const { log } = found;
  for (let offset = log.logStartOffset; offset < log.highWatermark; ) {
    const outcome = await on.until(Promise.resolve(log.read(offset, { maxBytes: 1_000_000, isolation: 'uncommitted' })));
    if (outcome.kind === 'failed') return 'damaged';
    assert.equal(outcome.kind, 'records');
    if (outcome.kind !== 'records') break;
    assert.ok(outcome.sizeBytes > 0);
    const last = outcome.chunks.at(-1) as Buffer;
    offset += Math.max(1, last.readInt32BE(23) + 1);
  }
  await on.append(log, 100);
  return 'served';
}

/** Some lives behind it: WAL objects, a checkpoint, merged objects, a seal. */
async function writtenStore(at: number): Promise<{ readonly on: LivesOnMemory; readonly topicId: TopicId }> {
  const on = await LivesOnMemory.start();
  const topicId = await on.createTopic('rides', partitions);
  const write = async (records: number) => {
    for (let index = 0; index < records; index++) await on.append(on.log(topicId, index % partitions), 300);
  };
  await write(12);
  if (at % 3 > 0) await on.rest(2_000);
  await write(4);
  if (at % 2 > 0) {
    on.kill();
    await on.begin();
    await write(3);
  }
  return { on, topicId };
}

function count(outcomes: Map<string, number>, outcome: string): void {
  outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
}
