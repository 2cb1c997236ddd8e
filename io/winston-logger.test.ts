import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { type LogFormat, winstonLogger } from './winston-logger.ts';

function capture() {
  const lines: string[] = [];
  const destination = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      lines.push(
        ...chunk
          .toString()
          .split(/\r?\n/)
          .filter((line) => line !== ''),
      );
      done();
    },
  });
  return { lines, destination, objects: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

function logged(format: LogFormat, fields: Record<string, unknown>, message = 'hello'): string {
  const { lines, destination } = capture();
  winstonLogger({ level: 'debug', format, destination }).info(message, fields);
  assert.equal(lines.length, 1);
  return lines[0] as string;
}

test('a JSON line has time, level, message and the fields of all ancestors', () => {
  const { objects, destination } = capture();
  const logger = winstonLogger({ level: 'info', format: 'json', destination, fields: { node: 3 } });
  logger.child({ topic: 'orders' }).child({ partition: 0 }).warn('slow', { ms: 12 });
  const [{ time, ...rest } = {}] = objects();
  assert.deepEqual(rest, { level: 'warn', message: 'slow', node: 3, topic: 'orders', partition: 0, ms: 12 });
  assert.ok(!Number.isNaN(Date.parse(String(time))));
});

test('the level changes at run time, for children that exist already, too', () => {
  const { lines, destination } = capture();
  const logger = winstonLogger({ level: 'info', format: 'json', destination });
  const child = logger.child({ a: 1 });
  child.debug('unseen');
  logger.setLevel('debug');
  child.debug('seen');
  logger.setLevel('error');
  child.warn('unseen');
  assert.equal(logger.level(), 'error');
  assert.equal(lines.length, 1);
  assert.match(lines[0] as string, /"seen"/);
});

test('secrets are hidden by their names, at every depth', () => {
  const line = logged('json', {
    password: 'p1',
    nested: { SecretAccessKey: 'p2', list: [{ authToken: 'p3' }] },
    etcd: 'https://root:p4@etcd:2379/',
    'sasl.jaas.config': 'p5',
  });
  assert.doesNotMatch(line, /p[1-5]/);
  assert.match(line, /https:\/\/etcd:2379/);
});

test('a password in a URL inside the message or an error is cut out', () => {
  assert.doesNotMatch(logged('pretty', { error: new Error('GET http://user:hunter2@host/ failed') }, 'cannot reach http://user:hunter2@host/'), /hunter2/);
});

test('errors show name, code, message and cause', () => {
  const error = Object.assign(new Error('outer', { cause: new Error('inner') }), { code: 'EIO' });
  const { error: shown } = JSON.parse(logged('json', { error })) as { error: Record<string, unknown> };
  assert.equal(shown['code'], 'EIO');
  assert.equal(shown['message'], 'outer');
  assert.equal((shown['cause'] as Record<string, unknown>)['message'], 'inner');
});

test('a client cannot forge a line or an escape sequence', () => {
  const line = logged('pretty', { client: 'a\n2026 ERROR fake\u001b[31m\u009b' }, 'got\nit\u2028');
  assert.doesNotMatch(line, /[\p{Cc}\u2028]/u);
});

test('fields cannot replace level or message, and odd values do not throw', () => {
  const cyclic: Record<string, unknown> = { self: undefined };
  cyclic['self'] = cyclic;
  const line = JSON.parse(
    logged('json', { big: 2n ** 64n, bytes: Buffer.alloc(9), cyclic, nan: Number.NaN, missing: undefined, map: new Map([['k', 1]]), f: () => 1 }),
  ) as Record<string, unknown>;
  assert.equal(line['big'], '18446744073709551616');
  assert.equal(line['bytes'], '<9 bytes>');
  assert.equal(line['nan'], 'NaN');
  assert.deepEqual(line['map'], { k: 1 });
  assert.ok(!('missing' in line));
});

test('values of any size make lines of bounded size', () => {
  const line = logged('json', {
    text: 'x'.repeat(1_000_000),
    list: Array.from({ length: 100_000 }, () => 'y'),
    many: Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`k${i}`, i])),
  });
  assert.ok(line.length < 20_000, `${line.length}`);
});

test('a reader that is too slow costs lines, not memory, and the loss is told', async () => {
  const written: string[] = [];
  let release: (() => void) | undefined;
  const destination = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      written.push(chunk.toString());
      release = done;
    },
  });
  const logger = winstonLogger({ level: 'info', format: 'json', destination, waitingBytesLimit: 10_000 });
  for (let i = 0; i < 1_000; i++) logger.info('a line of some length that nobody reads', { i });
  assert.ok(destination.writableLength < 20_000, `${destination.writableLength}`);
  while (destination.writableLength > 0) {
    release?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  logger.info('after');
  release?.();
  await new Promise((resolve) => setImmediate(resolve));
  assert.match(written.join(''), /log lines dropped[^\n]*"lines":\d+/);
});
