/** Which names a topic may have, in Kafka's words (org.apache.kafka.common.internals.Topic). */

const MAX_LENGTH = 249;

/** What is wrong with the name, or undefined. */
export function topicNameProblem(name: string): string | undefined {
  const reason = reasonOf(name);
  return reason === undefined ? undefined : `Topic name is invalid: ${reason}`;
}

/** Metrics cannot tell `.` from `_`, so Kafka refuses names that differ in nothing else. */
export function collidingName(name: string, existing: Iterable<{ readonly name: string }>): string | undefined {
  if (!/[._]/.test(name)) return undefined;
  const folded = name.replaceAll('.', '_');
  for (const other of existing) if (other.name !== name && other.name.length === name.length && other.name.replaceAll('.', '_') === folded) return other.name;
  return undefined;
}

function reasonOf(name: string): string | undefined {
  if (name === '') return 'the empty string is not allowed';
  if (name === '.' || name === '..') return `'${name}' is not allowed`;
  if (name.length > MAX_LENGTH) return `the length of '${name}' is longer than the max allowed length ${MAX_LENGTH}`;
  return /^[a-zA-Z0-9._-]+$/.test(name) ? undefined : `'${name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'`;
}
