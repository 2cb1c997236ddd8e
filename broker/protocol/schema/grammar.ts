/**
 * The grammar in which this folder writes Kafka's messages, and its parser. A message is one header line and one line a field:
 *
 *     FetchRequest api 1 versions 4-18 flexible 12+
 *       clusterId string? 12+ tag 0 = null
 *       topics []FetchTopic
 *         topicId uuid 13+
 *
 * Field line: name, type, versions, tag, default; what is left out means: all versions of what contains it, no tag, the type's own default.
 * `[]` array, `?` nullable (`?7+` in those versions only), `classic` never in the compact form (KIP-482). A capital type is a struct:
 * its fields are indented below, or it is one of the message's `struct` blocks. Ranges are inclusive; `7+` ends at the message's last version.
 * Header: `api N` (request or response of that key), `key N` / `value N` (record of a coordinator's topic), `data`, `header`; `unstable`
 * says that the latest version is not to be advertised.
 */

export interface VersionRange {
  readonly first: number;
  readonly last: number;
}

export type PrimitiveType = 'bool' | 'int8' | 'int16' | 'uint16' | 'int32' | 'uint32' | 'int64' | 'float64' | 'uuid' | 'string' | 'bytes' | 'records';

export type DefaultValue = number | string | boolean | null;

export interface FieldSchema {
  readonly name: string;
  /** Element type of an array, else the field's. */
  readonly type: PrimitiveType | StructSchema;
  readonly isArray: boolean;
  /** Already cut to what the message and the containing structs allow. */
  readonly versions: VersionRange;
  readonly nullable: VersionRange | undefined;
  readonly tag: number | undefined;
  /** As written after `=`; undefined when the type's own default applies. */
  readonly explicitDefault: DefaultValue | undefined;
  readonly classic: boolean;
}

export interface StructSchema {
  readonly name: string;
  readonly fields: readonly FieldSchema[];
}

export type MessageKind = 'request' | 'response' | 'key' | 'value' | 'data' | 'header';

export interface MessageSchema {
  readonly name: string;
  readonly kind: MessageKind;
  /** API key, or the version prefix of a coordinator's record; undefined for `data` and `header`. */
  readonly key: number | undefined;
  readonly versions: VersionRange;
  /** First version in the flexible encoding; Infinity when there is none. */
  readonly flexibleFrom: number;
  readonly latestUnstable: boolean;
  readonly root: StructSchema;
}

interface Line {
  readonly depth: number;
  readonly words: readonly string[];
  readonly children: Line[];
}

const primitives: ReadonlySet<string> = new Set<PrimitiveType>([
  'bool',
  'int8',
  'int16',
  'uint16',
  'int32',
  'uint32',
  'int64',
  'float64',
  'uuid',
  'string',
  'bytes',
  'records',
]);

/** Cuts a schema text into the texts of its messages by name, so that a message is parsed only when it is used. */
export function splitMessages(text: string): Map<string, string> {
  const messages = new Map<string, string>();
  for (const block of text.split(/\n(?=[A-Z])/)) {
    const name = /^\s*([A-Z]\w*)/.exec(block)?.[1];
    if (name !== undefined) messages.set(name, block.trim());
  }
  return messages;
}

export function parseMessage(text: string): MessageSchema {
  const header = treeOf(text);
  const [name = '', ...words] = header.words;
  const kindWord = words[0] ?? '';
  const hasKey = kindWord === 'api' || kindWord === 'key' || kindWord === 'value';
  const versions = parseRange(wordAfter(words, 'versions'), Infinity);
  const flexible = wordAfter(words, 'flexible');
  return {
    name,
    kind: kindOf(name, kindWord),
    key: hasKey ? Number(words[1]) : undefined,
    versions,
    flexibleFrom: flexible === 'none' ? Infinity : parseRange(flexible, versions.last).first,
    latestUnstable: words.includes('unstable'),
    root: { name, fields: parseFields(header.children, versions, versions.last, header) },
  };
}

export function inRange(version: number, range: VersionRange | undefined): boolean {
  return range !== undefined && version >= range.first && version <= range.last;
}

function parseFields(lines: readonly Line[], parent: VersionRange, latest: number, root: Line): FieldSchema[] {
  return lines.filter((line) => line.words[0] !== 'struct').map((line) => parseField(line, parent, latest, root));
}

function parseField(line: Line, parent: VersionRange, latest: number, root: Line): FieldSchema {
  const equals = line.words.indexOf('=');
  const words = equals < 0 ? line.words : line.words.slice(0, equals);
  const [name = '', typeWord = ''] = words;
  const match = /^(\[\])?(\w+)(\?)?([\d+-]+)?$/.exec(typeWord);
  if (!match) throw new Error(`schema: bad type ${typeWord} in "${line.words.join(' ')}"`);
  const [, brackets, typeName = '', question, nullableRange] = match;
  const ownRange = words.slice(2).find((word, at, all) => /^\d/.test(word) && all[at - 1] !== 'tag');
  const versions = ownRange === undefined ? parent : intersect(parseRange(ownRange, latest), parent);
  const tag = wordAfter(words, 'tag');
  return {
    name,
    type: primitives.has(typeName) ? (typeName as PrimitiveType) : parseStruct(typeName, line, versions, latest, root),
    isArray: brackets !== undefined,
    versions,
    nullable: question === undefined ? undefined : nullableRange === undefined ? versions : intersect(parseRange(nullableRange, latest), versions),
    tag: tag === '' ? undefined : Number(tag),
    explicitDefault: equals < 0 ? undefined : (JSON.parse(line.words.slice(equals + 1).join(' ')) as DefaultValue),
    classic: words.includes('classic'),
  };
}

function parseStruct(name: string, line: Line, versions: VersionRange, latest: number, root: Line): StructSchema {
  const shared = root.children.find((child) => child.words[0] === 'struct' && child.words[1] === name);
  const body = line.children.length > 0 ? line.children : shared?.children;
  if (!body) throw new Error(`schema: struct ${name} of ${root.words[0] ?? ''} has no fields`);
  return { name, fields: parseFields(body, versions, latest, root) };
}

function treeOf(text: string): Line {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const path: Line[] = [];
  for (const line of lines) {
    const depth = (line.length - line.trimStart().length) / 2;
    const node: Line = { depth, words: line.trim().split(/\s+/), children: [] };
    path.length = Math.min(path.length, depth);
    path.at(-1)?.children.push(node);
    path.push(node);
  }
  const root = path[0];
  if (!root) throw new Error('schema: empty message');
  return root;
}

function kindOf(name: string, word: string): MessageKind {
  if (word === 'api') return name.endsWith('Request') ? 'request' : 'response';
  if (word === 'key' || word === 'value' || word === 'data' || word === 'header') return word;
  throw new Error(`schema: ${name} is of no known kind: ${word}`);
}

function parseRange(text: string, latest: number): VersionRange {
  const match = /^(\d+)(?:(\+)|-(\d+))?$/.exec(text);
  if (!match) throw new Error(`schema: bad versions "${text}"`);
  const first = Number(match[1]);
  return { first, last: match[2] !== undefined ? latest : match[3] !== undefined ? Number(match[3]) : first };
}

function intersect(a: VersionRange, b: VersionRange): VersionRange {
  return { first: Math.max(a.first, b.first), last: Math.min(a.last, b.last) };
}

function wordAfter(words: readonly string[], word: string): string {
  const at = words.indexOf(word);
  return at < 0 ? '' : (words[at + 1] ?? '');
}
