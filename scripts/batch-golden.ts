/**
 * Makes test/golden/batches/*.jsonl.gz: what Apache Kafka's own log does with the batches of test/golden/batches/cases.ts, and
 * batches that it wrote (golden/Batches.java). Needs a JDK ≥ 17; `node dist/scripts/batch-golden.js [FOLDER OF JARS]`.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { cases, kafkaSettings, nowMs } from '../test/golden/batches/cases.ts';
import { kafkaJars } from '../test/lab/kafka.ts';
import { projectRoot } from '../test/tidy/project-files.ts';

const jars = process.argv[2] ?? kafkaJars();
const work = mkdtempSync(join(tmpdir(), 'batch-golden-'));
try {
  execFileSync('javac', ['-d', work, '-cp', `${jars}/*`, join(projectRoot, 'scripts/golden/Batches.java')], { stdio: 'inherit' });
  const questions = cases.map(({ name, topic, sent }) => [name, kafkaSettings(topic), sent.map((batch) => batch.toString('hex')).join(',')].join('\t'));
  write('judged', java(['judge', String(nowMs)], `${questions.join('\n')}\n`));
  write('written', java(['write'], ''));
} finally {
  rmSync(work, { recursive: true, force: true });
}

function java(args: readonly string[], input: string): Buffer {
  return execFileSync('java', [`-Djava.io.tmpdir=${work}`, '-cp', `${work}:${jars}/*`, 'Batches', ...args], {
    input,
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
}

function write(name: string, lines: Buffer): void {
  const target = join(projectRoot, `test/golden/batches/${name}.jsonl.gz`);
  writeFileSync(target, gzipSync(lines, { level: 9 }));
  process.stdout.write(`${target}: ${lines.toString('utf8').split('\n').length - 1} lines\n`);
}
