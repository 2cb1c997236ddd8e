/** etcd's key ranges: [key, range_end), with a zero byte as "to the end". */
const zero = Buffer.from([0]);

/** The range of all keys that begin with `prefix`. */
export function prefixRange(prefix: string): { readonly key: Buffer; readonly range_end: Buffer } {
  if (prefix === '') return { key: zero, range_end: zero };
  const key = Buffer.from(prefix);
  // UTF-8 has no byte 0xff, so the last byte can always grow.
  const end = Buffer.from(key);
  end[end.length - 1] = (end[end.length - 1] as number) + 1;
  return { key, range_end: end };
}

/** The first key behind `key`. */
export function keyAfter(key: Buffer): Buffer {
  return Buffer.concat([key, zero]);
}
