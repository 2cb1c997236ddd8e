/**
 * Turns message schemas in the JSON form that Kafka's jars carry under `common/message/` into our own grammar (broker/protocol/schema/grammar.ts).
 * Only facts about the encoding pass: ranges are cut to the versions that exist, and what follows from the containing struct is left out.
 */

export interface KafkaField {
  readonly name: string;
  readonly type: string;
  readonly versions?: string;
  readonly nullableVersions?: string;
  readonly taggedVersions?: string;
  readonly flexibleVersions?: string;
  readonly tag?: number;
  readonly default?: string | number | boolean | null;
  readonly fields?: readonly KafkaField[];
}

export interface KafkaMessage {
  readonly apiKey?: number;
  readonly type: string;
  readonly name: string;
  readonly validVersions: string;
  readonly flexibleVersions?: string;
  readonly latestVersionUnstable?: boolean;
  readonly listeners?: readonly string[];
  readonly fields: readonly KafkaField[];
  readonly commonStructs?: readonly { readonly name: string; readonly versions: string; readonly fields: readonly KafkaField[] }[];
}

type Range = readonly [first: number, last: number];

/** The message in our grammar, or undefined when no version of it is valid any more. */
export function grammarOf(message: KafkaMessage): string | undefined {
  const valid = parse(message.validVersions, Infinity);
  if (!valid) return undefined;
  const flexible = parse(message.flexibleVersions ?? 'none', valid[1]);
  const lines = [
    [
      message.name,
      kindOf(message),
      'versions',
      print(valid, -1),
      'flexible',
      flexible ? print(flexible, valid[1]) : 'none',
      ...(message.latestVersionUnstable === true ? ['unstable'] : []),
    ].join(' '),
    ...fieldLines(message.fields, valid, valid[1], '  '),
  ];
  for (const struct of message.commonStructs ?? []) {
    const range = cut(parse(struct.versions, valid[1]), valid);
    if (range) lines.push(`  struct ${struct.name}`, ...fieldLines(struct.fields, valid, valid[1], '    '));
  }
  return lines.join('\n');
}

function fieldLines(fields: readonly KafkaField[], parent: Range, latest: number, indent: string): string[] {
  return fields.flatMap((field) => {
    const versions = cut(parse(field.versions ?? field.taggedVersions ?? '', latest), parent);
    if (!versions) return [];
    return [indent + fieldLine(field, versions, parent, latest), ...fieldLines(field.fields ?? [], versions, latest, `${indent}  `)];
  });
}

function fieldLine(field: KafkaField, versions: Range, parent: Range, latest: number): string {
  const words = [field.name.charAt(0).toLowerCase() + field.name.slice(1), field.type];
  const nullable = cut(parse(field.nullableVersions ?? 'none', latest), versions);
  if (nullable) words[1] += same(nullable, versions) ? '?' : `?${print(nullable, latest)}`;
  if (!same(versions, parent)) words.push(print(versions, latest));
  if (field.tag !== undefined) {
    const tagged = cut(parse(field.taggedVersions ?? '', latest), versions);
    if (!tagged || !same(tagged, versions)) throw new Error(`${field.name}: tagged in a part of its versions, which the grammar cannot say`);
    words.push('tag', String(field.tag));
  }
  if (field.flexibleVersions === 'none') words.push('classic');
  // Kafka's generator takes "null" for null, but a bare null for no default at all.
  if (field.default !== undefined && field.default !== null) words.push('=', defaultOf(field.type, field.default));
  return words.join(' ');
}

/** As JSON. A number stays as written: int64's largest is not a JavaScript number. */
function defaultOf(type: string, value: string | number | boolean): string {
  if (value === 'null') return 'null';
  if (type === 'string') return JSON.stringify(value);
  return typeof value === 'string' && value.startsWith('0x') ? String(Number(value)) : String(value);
}

function kindOf(message: KafkaMessage): string {
  switch (message.type) {
    case 'request':
    case 'response':
      return `api ${message.apiKey ?? -1}`;
    case 'coordinator-key':
      return `key ${message.apiKey ?? -1}`;
    case 'coordinator-value':
      return `value ${message.apiKey ?? -1}`;
    default:
      return message.type;
  }
}

function parse(text: string, latest: number): Range | undefined {
  const match = /^(\d+)(?:(\+)|-(\d+))?$/.exec(text);
  if (!match) return undefined;
  const first = Number(match[1]);
  return [first, match[2] !== undefined ? latest : match[3] !== undefined ? Number(match[3]) : first];
}

function cut(a: Range | undefined, b: Range): Range | undefined {
  if (!a) return undefined;
  const range: Range = [Math.max(a[0], b[0]), Math.min(a[1], b[1])];
  return range[0] <= range[1] ? range : undefined;
}

function same(a: Range, b: Range): boolean {
  return a[0] === b[0] && a[1] === b[1];
}

function print(range: Range, latest: number): string {
  if (range[1] === latest) return `${range[0]}+`;
  return range[0] === range[1] ? String(range[0]) : `${range[0]}-${range[1]}`;
}
