/** Writes docs/configuration.md (`make docs`). Runs in the project's folder. */
import { writeFileSync } from 'node:fs';
import { configurationPage } from './configuration-page.ts';

writeFileSync('docs/configuration.md', configurationPage());
