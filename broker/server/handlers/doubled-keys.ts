/** The keys that occur more than once, in one pass: requests may hold many. */
export function doubledKeys(keys: Iterable<string>): ReadonlySet<string> {
  const seen = new Set<string>();
  const doubled = new Set<string>();
  for (const key of keys) {
    if (seen.has(key)) doubled.add(key);
    seen.add(key);
  }
  return doubled;
}
