/** What idempotent producers sent and what was acknowledged, held against what is in the topic (contract C1, C3, C4, C7). */
import assert from 'node:assert/strict';
import type { TopicRecord } from './read-topic.ts';

export interface ProducerHistory {
  /** Values are `<name>/<number>`, numbers in the order of sending. */
  readonly name: string;
  readonly sent: readonly string[];
  readonly acknowledged: ReadonlySet<string>;
}

/** `records` is the whole topic, in the order of partitions and offsets. */
export function checkHistory(histories: readonly ProducerHistory[], records: readonly TopicRecord[], partitions: number): void {
  const known = new Set(histories.flatMap(({ sent }) => sent));
  const seen = new Map<string, TopicRecord>();
  for (const record of records) {
    const earlier = seen.get(record.value);
    assert.equal(earlier, undefined, `${record.value} is at ${earlier?.partition}@${earlier?.offset} and ${record.partition}@${record.offset}`);
    assert.ok(known.has(record.value), `${record.value} was never sent`);
    seen.set(record.value, record);
  }
  const acknowledged = histories.flatMap((history) => [...history.acknowledged]);
  assert.ok(acknowledged.length > 100, `only ${acknowledged.length} records were acknowledged: the test saw too little`);
  const missing = acknowledged.filter((value) => !seen.has(value));
  assert.deepEqual(missing, [], `${missing.length} acknowledged and missing`);
  for (let partition = 0; partition < partitions; partition++) {
    const inPartition = records.filter((record) => record.partition === partition);
    const gap = inPartition.find((record, i) => record.offset !== i);
    assert.equal(gap, undefined, `partition ${partition}: offset ${gap?.offset} after ${inPartition.findIndex((record) => record === gap)} records`);
    for (const { name } of histories) {
      const numbers = inPartition.filter((record) => record.value.startsWith(`${name}/`)).map((record) => Number(record.value.split('/')[1]));
      const backwards = numbers.findIndex((number, i) => i > 0 && number < (numbers[i - 1] ?? 0));
      assert.equal(backwards, -1, `partition ${partition}: ${name}/${numbers[backwards]} comes after ${name}/${numbers[backwards - 1]}`);
    }
  }
}
