/**
 * What a broker did, as short lines that can be compared between brokers: per frame `closed`, `no answer`, `hangs` or the error codes of the
 * answer with their places in it; at the end, whether the connection still serves. Names that belong to the case are written as $topic, $group, …
 */
import { type ErrorName, ErrorCodes } from '../../broker/protocol/errors.ts';
import type { Place } from './bad-input.ts';

export type Observation = readonly string[];

const errorNames = new Map<number, string>((Object.keys(ErrorCodes) as ErrorName[]).map((name) => [ErrorCodes[name], name]));
const labels = ['name', 'topic', 'topicName', 'resourceName', 'groupId', 'key', 'partitionIndex', 'partition', 'index'];
const nothing = 'AAAAAAAAAAAAAAAAAAAAAA';
/** Answers about more things than these are summed up. */
const mostLines = 8;

type Body = Readonly<Record<string, unknown>>;

/** Error codes with their places, in an order that depends neither on the answer's nor on the names of this run. */
export function errorLines(body: unknown, place?: Place): string[] {
  const found: { place: string; error: string }[] = [];
  collect(body, '', found);
  const inner = found.filter(({ place }) => place !== '');
  // The code of the whole answer says something when it is an error or nothing else is said.
  const shown = inner.length > 0 ? found.filter(({ place, error }) => place !== '' || error !== 'NONE') : found;
  const lines = shown
    .map(({ place, error }) => (place === '' ? error : `${place} ${error}`))
    .map((line) => (place ? withoutNames(line, place) : line))
    .sort();
  return lines.length > mostLines ? summed(shown.map(({ error }) => error)) : lines;
}

export function errorName(code: number): string {
  return errorNames.get(code) ?? String(code);
}

/** The line with the names of this run replaced. */
export function withoutNames(line: string, place: Place): string {
  const named: [string, string][] = [
    [place.topicId, '$topicId'],
    [place.unknown, '$unknown'],
    [place.group, '$group'],
    [place.topic, '$topic'],
  ];
  return named.reduce((text, [from, to]) => text.replaceAll(from, to), line);
}

function collect(value: unknown, place: string, found: { place: string; error: string }[]): void {
  if (Array.isArray(value)) {
    for (const element of value) collect(element, place, found);
    return;
  }
  if (value === null || typeof value !== 'object' || Buffer.isBuffer(value)) return;
  const body = value as Body;
  const here = join(place, labelOf(body));
  const code = body['errorCode'] ?? body['partitionErrorCode'];
  if (typeof code === 'number') found.push({ place: here, error: errorName(code) + recordErrorsOf(body) });
  for (const [name, field] of Object.entries(body)) if (name !== 'recordErrors') collect(field, here, found);
}

function labelOf(body: Body): string {
  for (const name of labels) {
    const value = body[name];
    if (typeof value === 'number') return String(value);
    if (typeof value === 'string' && (value !== '' || !hasTopicId(body))) return value === '' ? '""' : printable(value);
  }
  return hasTopicId(body) ? String(body['topicId']) : '';
}

function hasTopicId(body: Body): boolean {
  return typeof body['topicId'] === 'string' && body['topicId'] !== nothing;
}

function recordErrorsOf(body: Body): string {
  const errors = body['recordErrors'] as readonly { batchIndex: number }[] | undefined;
  if (errors === undefined || errors.length === 0) return '';
  return ` (records ${errors.map(({ batchIndex }) => batchIndex).join(', ')})`;
}

function summed(errors: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const error of errors) counts.set(error, (counts.get(error) ?? 0) + 1);
  return [...counts].map(([error, count]) => `${count} × ${error}`).sort();
}

/** Long names would make long lines. */
function printable(text: string): string {
  const short = text.length > 60 ? `${text.slice(0, 20)}… (${text.length})` : text;
  return short.replace(/[^\x20-\x7e…]/g, (character) => `\\u${character.codePointAt(0)!.toString(16)}`);
}

function join(place: string, label: string): string {
  if (label === '') return place;
  return place === '' ? label : `${place}-${label}`;
}
