/**
 * Which keys our objects have: `[A-Za-z0-9_.-]` in segments joined by `/`. So narrow a set needs no escaping anywhere (URL, signature,
 * XML, file name), its UTF-8 order is the order of JavaScript's strings, and a key cannot climb out of a folder.
 * No segment begins with a dot: those names are the folder store's own.
 */
import { invariant } from '../../std/invariant.ts';

const keyPattern = /^[A-Za-z0-9_-][A-Za-z0-9_.-]*(?:\/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*$/;
const prefixPattern = /^(?:[A-Za-z0-9_-][A-Za-z0-9_.-]*\/)*(?:[A-Za-z0-9_-][A-Za-z0-9_.-]*)?$/;

/** S3 allows 1,024 bytes; the rest is left to the prefix of a cluster. */
const maxKeyLength = 800;

export function isObjectKey(text: string): boolean {
  return text.length <= maxKeyLength && keyPattern.test(text);
}

/** Throws for what no caller of ours may ask for: a bug, not an outcome. */
export function checkKey(key: string): void {
  invariant(isObjectKey(key), 'object keys consist of [A-Za-z0-9_.-] in segments joined by /', { key });
}

/** What `list` takes: the beginning of a key, or nothing. */
export function checkKeyPrefix(prefix: string): void {
  invariant(prefix.length <= maxKeyLength && prefixPattern.test(prefix), 'a key prefix is the beginning of an object key', { prefix });
}

export function checkRange(range: { readonly start: number; readonly end: number }): void {
  invariant(
    Number.isSafeInteger(range.start) && Number.isSafeInteger(range.end) && range.start >= 0 && range.end >= range.start,
    'a byte range is [start, end)',
    range,
  );
}
