/** What Apache Kafka did with the corpus, as recorded by differential.ts; tests compare with it where no Java is. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../tidy/project-files.ts';
import { type BadInput, caseName } from './bad-input.ts';
import type { Observation } from './observation.ts';

export const goldenKafka = '4.3';
const file = join(projectRoot, `test/golden/bad-input/kafka-${goldenKafka}.json`);

export function readGolden(): ReadonlyMap<string, Observation> {
  return new Map(Object.entries(JSON.parse(readFileSync(file, 'utf8')) as Record<string, Observation>));
}

/** In the order of the corpus, a line a case. */
export function writeGolden(cases: readonly BadInput[], observations: ReadonlyMap<string, Observation>): string {
  const lines = cases.map(caseName).map((name) => `  ${JSON.stringify(name)}: ${JSON.stringify(observations.get(name) ?? [])}`);
  writeFileSync(file, `{\n${lines.join(',\n')}\n}\n`);
  return file;
}
