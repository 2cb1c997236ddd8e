/** Timestamps as indexes keep them: differences of two must stay exact, so that what lies past 2^51 counts as that. Records keep their own. */

const maxIndexedTimestampMs = 2 ** 51;

export function indexedTimestamp(timestampMs: number): number {
  return Math.max(-1, Math.min(timestampMs, maxIndexedTimestampMs));
}
