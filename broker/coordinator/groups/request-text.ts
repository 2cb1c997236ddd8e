/** Bounds for text that clients send and groups keep. */

/** Longest string of Kafka's record formats; bytes that are no UTF-8 grow when they are written again. */
const maxTextBytes = 0x7fff;
const shortLength = 255;

export function fitsRecord(text: string): boolean {
  return text.length * 3 <= maxTextBytes || Buffer.byteLength(text) <= maxTextBytes;
}

/** For what is only shown (client ids, reasons) and for what begins a member id. */
export function shortened(text: string): string {
  if (text.length <= shortLength) return text;
  // Half a character would come back from the client as another one.
  const cutsCharacter = (text.charCodeAt(shortLength - 1) & 0xfc00) === 0xd800;
  return text.slice(0, cutsCharacter ? shortLength - 1 : shortLength);
}
