/** docs/bad-input.md, made from the accepted differences, so that the page cannot say anything else. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../tidy/project-files.ts';
import { acceptedDifferences } from './accepted-differences.ts';
import { corpus } from './corpus/corpus.ts';
import { goldenKafka, readGolden } from './golden.ts';
import type { Observation } from './observation.ts';

const rows: Readonly<Record<string, string>> = {
  B01: 'negative frame sizes',
  B02: 'frame sizes that are too large',
  B03: 'frames that do not end',
  B06: 'other protocols',
  B07: 'short frames and headers',
  B08: 'unknown and inner API keys',
  B09: 'unknown versions of ApiVersions',
  B10: 'unknown versions of others',
  B11: 'bytes behind the body',
  B12: 'lengths and counts',
  B13: 'many empty elements',
  B14: 'tagged fields',
  B15: 'strings',
  B17: 'correlation ids',
  B28: 'checksums',
  B29: 'magic, number of batches',
  B30: 'batch lengths',
  B31: 'record counts',
  B32: 'sizes of batches',
  B33: 'acks and timeouts',
  B34: 'attributes',
  B35: 'timestamps',
  B36: 'offsets and epochs of batches',
  B37: 'producers',
  B38: 'gzip',
  B39: 'snappy',
  B40: 'lz4',
  B41: 'zstd',
  B42: 'unknown codecs',
  B43: 'null keys',
  B44: 'records',
  B45: 'topics and partitions of Produce',
  B46: 'transactional ids',
  B47: 'sequences',
  B49: 'offsets and limits of Fetch',
  B50: 'partitions and sessions of Fetch',
  B51: 'leader epochs',
  B52: 'ListOffsets',
  B53: 'Metadata and descriptions',
  B54: 'groups and members',
  B55: 'settings',
  B56: 'committed offsets',
  B57: 'assignments',
  B58: 'creating topics',
  B59: 'deleting topics',
  B60: 'producer ids',
};

export function writeDocument(): string {
  const file = join(projectRoot, 'docs/bad-input.md');
  writeFileSync(file, documentText());
  return file;
}

export function documentText(): string {
  const differing = acceptedDifferences.reduce((sum, { ours }) => sum + Object.keys(ours).length, 0);
  return `${introduction(corpus.length, differing)}\n${coverage()}\n${acceptedDifferences.map(section).join('\n')}`;
}

function introduction(cases: number, differing: number): string {
  return `# Bad input

<!-- Made by test/bad-input/document.ts: change that, or test/bad-input/accepted-differences.ts. -->

${cases} bad requests (test/bad-input/corpus) were sent to Apache Kafka ${goldenKafka} and are sent to our broker by \`make test\`, byte for byte the same. In
${cases - differing} cases we do what Kafka does; ${differing} differ on purpose, for the reasons below.

- \`node dist/test/bad-input/differential.js record\` asks Kafka again (Java and Maven are needed).
- \`node dist/test/bad-input/differential.js compare HOST:PORT\` asks any broker and prints what is different.

Besides, \`make test\` holds, each against a broker in a process of its own while a bystander writes and reads:

- memory, files and other clients, against announced frames, 10,000 connections, 10,000 requests and 2 GB of records whose answers nobody reads,
  random bytes (\`overload.test.ts\`), and clients that hold a connection by doing almost nothing (\`slow-clients.test.ts\`);
- plausible requests of every API, half of them damaged (\`socket-fuzz.test.ts\`; \`make fuzz\` sends 200,000);
- stores that somebody else wrote into: damaged and forged objects (\`poisoned-objects-fuzz.test.ts\`), values in the metadata store that fit no schema
  (\`poisoned-metadata.test.ts\`); the HTTP endpoint's own limits are in \`io/http-server.test.ts\`.

Observations read so: the error codes of each answer with their places in it, \`closed\` where the broker closed the connection, \`hangs\` where it did
neither, \`open\` where the connection still served at the end.
`;
}

function coverage(): string {
  const counts = new Map<string, number>();
  for (const { row } of corpus) counts.set(row, (counts.get(row) ?? 0) + 1);
  const lines = [...counts].map(([row, count]) => `| ${row} | ${rows[row] ?? ''} | ${count} |`);
  return ['## Cases', '', '| row | about | cases |', '| --- | --- | --- |', ...lines, ''].join('\n');
}

function section({ title, verdict, why, ours }: (typeof acceptedDifferences)[number]): string {
  const golden = readGolden();
  const lines = Object.entries(ours).map(([name, seen]) => `| ${cell(name)} | ${told(golden.get(name) ?? [])} | ${told(seen)} |`);
  return [`## ${title} (${verdict})`, '', why, '', '| case | Kafka | we |', '| --- | --- | --- |', ...lines, ''].join('\n');
}

function told(observation: Observation): string {
  return observation.map((line) => `\`${cell(line)}\``).join(' ');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}
