/** Bounds for text that clients send and groups keep. */

/** Longest string of Kafka's record formats; bytes that are no UTF-8 grow when they are written again. */
const maxTextBytes = 0x7fff;
const shortLength = 255;

export function fitsRecord(text: string): boolean {
  return text.length * 3 <= maxTextBytes || Buffer.byteLength(text) <= maxTextBytes;
}

/** For what is only shown: client ids and reasons. */
export function shortened(text: string): string {
  return text.length > shortLength ? text.slice(0, shortLength) : text;
}
