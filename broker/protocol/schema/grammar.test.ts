import assert from 'node:assert/strict';
import test from 'node:test';
import { parseMessage, splitMessages } from './grammar.ts';
import { messageNames, schemaOf } from './messages.ts';

const text = `
ExampleRequest api 99 versions 2-5 flexible 4+ unstable
  name string
  maybe string?3+ 2+ = null
  limit int64 3-4 = 9223372036854775807
  entries []Entry 3+
    partitions []int32
    epoch int32 4+ tag 1 = -1
  owner Owner?
  struct Owner
    host string 5+ classic
`;

test('a header says key, kind, versions and where the flexible encoding begins', () => {
  const { name, kind, key, versions, flexibleFrom, latestUnstable } = parseMessage(text);
  assert.deepStrictEqual(
    { name, kind, key, versions, flexibleFrom, latestUnstable },
    { name: 'ExampleRequest', kind: 'request', key: 99, versions: { first: 2, last: 5 }, flexibleFrom: 4, latestUnstable: true },
  );
});

test('fields inherit the versions of what contains them, and open ranges end at the latest', () => {
  const [name, maybe, limit, entries] = parseMessage(text).root.fields;
  assert.deepStrictEqual(name?.versions, { first: 2, last: 5 });
  assert.deepStrictEqual([maybe?.versions, maybe?.nullable, maybe?.explicitDefault], [{ first: 2, last: 5 }, { first: 3, last: 5 }, null]);
  assert.deepStrictEqual([limit?.versions, limit?.explicitDefault], [{ first: 3, last: 4 }, 2 ** 63]);
  assert.ok(entries?.isArray && typeof entries.type === 'object');
  const [partitions, epoch] = entries.type.fields;
  assert.deepStrictEqual([partitions?.versions, partitions?.isArray, partitions?.type], [{ first: 3, last: 5 }, true, 'int32']);
  assert.deepStrictEqual([epoch?.versions, epoch?.tag, epoch?.explicitDefault], [{ first: 4, last: 5 }, 1, -1]);
});

test('a struct block serves the fields that name it', () => {
  const owner = parseMessage(text).root.fields[4];
  assert.ok(owner && typeof owner.type === 'object');
  assert.deepStrictEqual(
    owner.type.fields.map((field) => [field.name, field.versions.first, field.classic]),
    [['host', 5, true]],
  );
});

test('a text that is not in the grammar is refused', () => {
  assert.throws(() => parseMessage('X api 1 versions 0 flexible none\n  name'), /bad type/);
  assert.throws(() => parseMessage('X api 1 versions 0 flexible none\n  owner Nobody'), /has no fields/);
  assert.throws(() => parseMessage('X thing versions 0 flexible none'), /no known kind/);
  assert.throws(() => parseMessage('X data versions zero flexible none'), /bad versions/);
});

test('messages are split at lines that begin with a capital', () => {
  assert.deepStrictEqual([...splitMessages('\nA data versions 0 flexible none\n  x int8\n\nB data versions 0 flexible none\n').keys()], ['A', 'B']);
});

test('all messages of the schema parse, and every request has its response', () => {
  assert.equal(messageNames.length, 217);
  assert.equal(new Set(messageNames).size, 217);
  for (const name of messageNames) {
    const schema = schemaOf(name)!;
    assert.ok(schema.versions.first <= schema.versions.last, name);
    if (schema.kind !== 'request') continue;
    const response = schemaOf(name.replace(/Request$/, 'Response'));
    assert.deepStrictEqual([response?.key, response?.versions, response?.flexibleFrom], [schema.key, schema.versions, schema.flexibleFrom], name);
  }
});
