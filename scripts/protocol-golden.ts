/**
 * Makes test/golden/protocol/kafka.jsonl.gz: samples of every message in every version, encoded by Apache Kafka's own classes
 * (golden/Golden.java). Needs a JDK ≥ 17; `node dist/scripts/protocol-golden.js [FOLDER OF JARS]`, without a folder the Kafka of test/lab/kafka/pom.xml.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { messageNames } from '../broker/protocol/schema/messages.ts';
import { kafkaJars } from '../test/lab/kafka.ts';
import { projectRoot } from '../test/tidy/project-files.ts';

const jars = process.argv[2] ?? kafkaJars();
const work = mkdtempSync(join(tmpdir(), 'protocol-golden-'));
try {
  const names = join(work, 'names');
  writeFileSync(names, messageNames.join('\n'));
  execFileSync('javac', ['-d', work, '-cp', `${jars}/*`, join(projectRoot, 'scripts/golden/Golden.java')], { stdio: 'inherit' });
  const lines = execFileSync('java', ['-cp', `${work}:${jars}/*`, 'Golden', names, jars], { maxBuffer: 64 * 1024 * 1024 });
  const target = join(projectRoot, 'test/golden/protocol/kafka.jsonl.gz');
  writeFileSync(target, gzipSync(lines, { level: 9 }));
  process.stdout.write(`${target}: ${lines.toString('utf8').split('\n').length - 1} samples\n`);
} finally {
  rmSync(work, { recursive: true, force: true });
}
