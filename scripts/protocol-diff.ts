/**
 * Holds our message grammar against the schemas in Kafka's jars: `node dist/scripts/protocol-diff.js [FOLDER OF JARS]`; without a folder,
 * against the Kafka of test/lab/kafka/pom.xml. Prints what differs by message, line by line, and new messages in our grammar, ready to paste.
 * Ends with 1 when anything differs. (Fields the order of which is the same but whose struct blocks lie elsewhere do not count.)
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type FieldSchema, type MessageSchema, parseMessage } from '../broker/protocol/schema/grammar.ts';
import { messageNames, schemaOf } from '../broker/protocol/schema/messages.ts';
import { kafkaJars } from '../test/lab/kafka.ts';
import { grammarOf, type KafkaMessage } from './protocol-grammar.ts';
import { readZipEntries } from './zip-entries.ts';

const theirs = readJars(process.argv[2] ?? kafkaJars());
let differences = 0;
for (const name of messageNames) {
  const message = theirs.get(name);
  const lines = message
    ? differencesOf(flatten(schemaOf(name)), flatten(parseMessage(grammarOf(message) ?? `${name} data versions 0 flexible none`)))
    : ['- gone'];
  if (lines.length > 0) say(`${name}\n  ${lines.join('\n  ')}\n`);
}
const spokenByBrokers = new Set([...theirs.values()].filter(({ listeners }) => listeners?.includes('broker') === true).map(({ apiKey }) => apiKey));
for (const [name, message] of theirs) {
  const isApi = message.type === 'request' || message.type === 'response';
  const grammar = grammarOf(message);
  if (isApi && grammar !== undefined && spokenByBrokers.has(message.apiKey) && schemaOf(name) === undefined) say(`new: ${name}\n${grammar}\n\n`);
}
process.stdout.write(differences === 0 ? `no difference in ${messageNames.length} messages\n` : `${differences} messages differ\n`);
process.exitCode = differences === 0 ? 0 : 1;

function say(text: string): void {
  differences += 1;
  process.stdout.write(text);
}

function readJars(folder: string): Map<string, KafkaMessage> {
  const messages = new Map<string, KafkaMessage>();
  for (const jar of readdirSync(folder).filter((name) => name.endsWith('.jar'))) {
    for (const text of readZipEntries(join(folder, jar), /^common\/message\/.*\.json$/).values()) {
      const message = JSON.parse(text.toString('utf8').replace(/^\s*\/\/.*$/gm, '')) as KafkaMessage;
      messages.set(message.name, message);
    }
  }
  return messages;
}

/** A message as lines that can be compared: every field with its path and all that the grammar says of it. */
function flatten(message: MessageSchema | undefined): string[] {
  if (!message) return [];
  const { kind, key, versions, flexibleFrom, latestUnstable } = message;
  return [
    JSON.stringify({ kind, key, versions, flexibleFrom: String(flexibleFrom), latestUnstable }),
    ...message.root.fields.flatMap((field) => lines(field, '')),
  ];
}

function lines(field: FieldSchema, path: string): string[] {
  const { type, ...rest } = field;
  const own = `${path}${field.name} ${JSON.stringify({ ...rest, type: typeof type === 'string' ? type : type.name })}`;
  return typeof type === 'string' ? [own] : [own, ...type.fields.flatMap((inner) => lines(inner, `${path}${field.name}.`))];
}

function differencesOf(ours: readonly string[], theirs: readonly string[]): string[] {
  const added = theirs.filter((line) => !ours.includes(line)).map((line) => `+ ${line}`);
  const removed = ours.filter((line) => !theirs.includes(line)).map((line) => `- ${line}`);
  if (added.length + removed.length === 0 && ours.join() !== theirs.join()) return ['* other order of fields'];
  return [...removed, ...added];
}
