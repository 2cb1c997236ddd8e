/**
 * Where a setting's text can come from: a file in the style of Java's properties (Kafka's server.properties), environment
 * variables `AUTOMQ_…`, and flags `--key=value`. Each yields texts by key; nothing here knows which keys exist.
 */

export type ConfigSource = 'file' | 'environment' | 'flag';

export interface ConfigText {
  readonly key: string;
  readonly text: string;
  readonly source: ConfigSource;
  /** Where exactly, for people: `line 12 of the file`, `AUTOMQ_NODE_ID`, `--node.id`. */
  readonly place: string;
}

export const environmentPrefix = 'AUTOMQ_';

/** Java's properties: `=`, `:` or space between key and value, `#` and `!` comments, `\` continues a line and escapes. */
export function readProperties(content: string): ConfigText[] {
  const texts: ConfigText[] = [];
  const lines = content.split(/\r\n|\n|\r/);
  for (let i = 0; i < lines.length; i++) {
    const place = `line ${i + 1} of the file`;
    let line = (lines[i] ?? '').trimStart();
    if (line === '' || line.startsWith('#') || line.startsWith('!')) continue;
    while (endsInOddBackslashes(line) && i + 1 < lines.length) line = line.slice(0, -1) + (lines[++i] ?? '').trimStart();
    if (endsInOddBackslashes(line)) line = line.slice(0, -1);
    const [key, text] = splitProperty(line);
    texts.push({ key, text, source: 'file', place });
  }
  return texts;
}

/** `AUTOMQ_NODE_ID` is `node.id`. Variables that Kubernetes adds for a Service called `automq…` are none of ours. */
export function readEnvironment(env: Readonly<Record<string, string | undefined>>): ConfigText[] {
  const texts: ConfigText[] = [];
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith(environmentPrefix) || text === undefined || isServiceLink(name, text)) continue;
    const key = name.slice(environmentPrefix.length).toLowerCase().replaceAll('_', '.');
    texts.push({ key, text, source: 'environment', place: name });
  }
  return texts;
}

/** `--key=value`; what does not look like it is answered as unreadable. */
export function readFlags(flags: readonly string[]): { readonly texts: ConfigText[]; readonly unreadable: string[] } {
  const texts: ConfigText[] = [];
  const unreadable: string[] = [];
  for (const flag of flags) {
    const match = /^--([^=\s]+)=(.*)$/s.exec(flag);
    if (match == null) unreadable.push(flag);
    else texts.push({ key: match[1]!, text: match[2]!, source: 'flag', place: `--${match[1]}` });
  }
  return { texts, unreadable };
}

function isServiceLink(name: string, text: string): boolean {
  if (/_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$/.test(name) || /_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(name)) return true;
  return name.endsWith('_PORT') && /^(tcp|udp|sctp):\/\//.test(text);
}

function endsInOddBackslashes(line: string): boolean {
  let count = 0;
  while (count < line.length && line[line.length - 1 - count] === '\\') count++;
  return count % 2 === 1;
}

function splitProperty(line: string): [key: string, text: string] {
  let end = 0;
  while (end < line.length && !/[=:\s]/.test(line[end]!)) end += line[end] === '\\' ? 2 : 1;
  const rest = line.slice(end).replace(/^\s*[=:]?\s*/, '');
  return [unescape(line.slice(0, end)), unescape(rest)];
}

const escapes: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' };

function unescape(text: string): string {
  return text.replace(/\\(?:u([0-9a-fA-F]{4})|(.))/gs, (_, code: string | undefined, character: string) =>
    code === undefined ? (escapes[character] ?? character) : String.fromCharCode(Number.parseInt(code, 16)),
  );
}
