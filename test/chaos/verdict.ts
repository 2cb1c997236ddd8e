/** The end of every fault run: heal, see that everything goes on, read everything, let the checker and fsck look. */
import { checkHistory } from '../checker/checker.ts';
import type { ChaosCluster } from './chaos-cluster.ts';
import type { ChaosLoad } from './chaos-load.ts';
import type { ChaosRecord } from './wall-recorder.ts';

export interface RunningChaos {
  readonly cluster: ChaosCluster;
  readonly load: ChaosLoad;
  readonly record: ChaosRecord;
}

/** How long somebody who was taken over may answer with an older prefix (contract C5). */
const staleBoundMs = 2_000;

/** Everything that was found wrong is in the record afterwards. */
export async function concludeChaos({ cluster, load, record }: RunningChaos): Promise<void> {
  const over = record.fault('healed');
  await cluster.heal();
  await load.expectProgress();
  await load.stop();
  await load.readEverything();
  cluster.checkMemory();
  await cluster.stopBrokers();
  over();
  record.recorder.finish();
  checkRecord(record);
  const { clean, text } = await cluster.fsck();
  if (!clean) record.violation('fsck', text);
}

function checkRecord(record: ChaosRecord): void {
  try {
    for (const { name, key, detail } of checkHistory(record.history, { mayExpire: () => false, damaged: false, staleBoundMs }))
      record.violation(name, `${key}: ${detail}`);
  } catch (error) {
    record.violation('checker-failed', error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
}
