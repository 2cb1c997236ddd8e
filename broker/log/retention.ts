/** Retention by time and size (Kafka's `retention.ms`, `retention.bytes`): where the log should start. Pure; entries are the unit, records are never rewritten. */
import type { IndexEntry } from './format/partition-state.ts';
import type { TopicLogConfig } from './topic-log-config.ts';

export interface RetentionView {
  readonly entries: readonly IndexEntry[];
  readonly logStartOffset: number;
  readonly highWatermark: number;
  readonly sizeBytes: number;
}

/** The log start offset that retention wants; the present one when nothing is to go. */
export function retainedFrom(view: RetentionView, config: Pick<TopicLogConfig, 'cleanupPolicy' | 'retentionMs' | 'retentionBytes'>, nowMs: number): number {
  if (!config.cleanupPolicy.delete) return view.logStartOffset;
  let { logStartOffset, sizeBytes } = view;
  for (const entry of view.entries) {
    if (entry.lastOffset >= view.highWatermark) break;
    const tooOld = config.retentionMs >= 0 && entry.maxTimestampMs >= 0 && entry.maxTimestampMs < nowMs - config.retentionMs;
    const tooMuch = config.retentionBytes >= 0 && sizeBytes - entry.length >= config.retentionBytes;
    if (!tooOld && !tooMuch) break;
    sizeBytes -= entry.length;
    logStartOffset = entry.lastOffset + 1;
  }
  return Math.max(logStartOffset, view.logStartOffset);
}
