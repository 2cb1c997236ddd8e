/** Which names a topic may have, in Kafka's words (org.apache.kafka.common.internals.Topic). */

const MAX_LENGTH = 249;

/** What is wrong with the name, or undefined. */
export function topicNameProblem(name: string): string | undefined {
  const reason = reasonOf(name);
  return reason === undefined ? undefined : `Topic name is invalid: ${reason}`;
}

type Named = { readonly name: string };

/** By list of topics, which the image keeps until it changes: a request may hold names by the hundred thousand. */
const foldedNames = new WeakMap<readonly Named[], ReadonlyMap<string, string>>();

/** Metrics cannot tell `.` from `_`, so Kafka refuses names that differ in nothing else. */
export function collidingName(name: string, existing: readonly Named[]): string | undefined {
  if (!/[._]/.test(name)) return undefined;
  let folded = foldedNames.get(existing);
  if (folded === undefined) {
    folded = new Map(existing.map((topic) => [fold(topic.name), topic.name]));
    foldedNames.set(existing, folded);
  }
  const found = folded.get(fold(name));
  return found === name ? undefined : found;
}

function fold(name: string): string {
  return name.replaceAll('.', '_');
}

function reasonOf(name: string): string | undefined {
  if (name === '') return 'the empty string is not allowed';
  if (name === '.' || name === '..') return `'${name}' is not allowed`;
  if (name.length > MAX_LENGTH) return `the length of '${name}' is longer than the max allowed length ${MAX_LENGTH}`;
  return /^[a-zA-Z0-9._-]+$/.test(name) ? undefined : `'${name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'`;
}
