import assert from 'node:assert/strict';
import test from 'node:test';
import { grammarOf } from './protocol-grammar.ts';

test('a schema of the jars becomes our grammar, cut to the versions that exist', () => {
  const grammar = grammarOf({
    apiKey: 3,
    type: 'request',
    name: 'ExampleRequest',
    validVersions: '2-5',
    flexibleVersions: '4+',
    fields: [
      { name: 'Gone', type: 'string', versions: '0-1' },
      { name: 'Limit', type: 'int32', versions: '0+', default: '0x7fffffff' },
      { name: 'Until', type: 'int64', versions: '3-4', default: '9223372036854775807' },
      { name: 'Note', type: 'string', versions: '0+', nullableVersions: '3+', default: 'null' },
      { name: 'Epochs', type: '[]int32', taggedVersions: '4+', nullableVersions: '4+', tag: 0, default: null },
      {
        name: 'Topics',
        type: '[]Topic',
        versions: '3+',
        fields: [{ name: 'Name', type: 'string', versions: '0+', nullableVersions: '3+', flexibleVersions: 'none' }],
      },
    ],
    commonStructs: [{ name: 'Shared', versions: '1+', fields: [{ name: 'Flag', type: 'bool', versions: '1+', default: 'true' }] }],
  });
  assert.equal(
    grammar,
    [
      'ExampleRequest api 3 versions 2-5 flexible 4+',
      '  limit int32 = 2147483647',
      '  until int64 3-4 = 9223372036854775807',
      '  note string?3+ = null',
      '  epochs []int32? 4+ tag 0',
      '  topics []Topic 3+',
      '    name string? classic',
      '  struct Shared',
      '    flag bool = true',
    ].join('\n'),
  );
});

test('a message of which no version is left has no grammar', () => {
  assert.equal(grammarOf({ apiKey: 4, type: 'request', name: 'LeaderAndIsrRequest', validVersions: 'none', fields: [] }), undefined);
});
