/** `node dist/scripts/formats-golden.js`: writes the golden files that are not there yet: of a new format version; old files stay as they are. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describeObject } from '../broker/log/inspect.ts';
import { samples } from '../test/golden/formats/samples.ts';
import { projectRoot } from '../test/tidy/project-files.ts';

const folder = join(projectRoot, 'test/golden/formats');
for (const { name, version, bytes } of samples) {
  const path = join(folder, `v${version}-${name}`);
  if (existsSync(`${path}.bin.gz`)) continue;
  writeFileSync(`${path}.bin.gz`, gzipSync(bytes, { level: 9 }));
  writeFileSync(`${path}.txt`, `${describeObject(bytes, bytes.length).join('\n')}\n`);
  console.log(`${path} written`);
}
