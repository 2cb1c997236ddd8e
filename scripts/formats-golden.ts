/** `node dist/scripts/formats-golden.js`: writes the golden files of the stored formats. To be run once for each new format version; old files stay as they are. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describeObject } from '../broker/log/inspect.ts';
import { formatVersion } from '../broker/log/format/trailer.ts';
import { samples } from '../test/golden/formats/samples.ts';
import { projectRoot } from '../test/tidy/project-files.ts';

const folder = join(projectRoot, 'test/golden/formats');
for (const { name, bytes } of samples) {
  writeFileSync(join(folder, `v${formatVersion}-${name}.bin.gz`), gzipSync(bytes, { level: 9 }));
  writeFileSync(join(folder, `v${formatVersion}-${name}.txt`), `${describeObject(bytes, bytes.length).join('\n')}\n`);
}
console.log(`${samples.length} kinds of format version ${formatVersion} written to ${folder}`);
