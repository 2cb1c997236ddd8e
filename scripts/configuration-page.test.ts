import assert from 'node:assert/strict';
import test from 'node:test';
import { readText } from '../test/tidy/project-files.ts';
import { configurationPage } from './configuration-page.ts';

test('docs/configuration.md is what the tables of settings say', () => {
  assert.equal(readText('docs/configuration.md'), configurationPage(), 'run: make docs');
});
