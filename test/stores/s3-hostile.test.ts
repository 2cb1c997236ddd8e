/** S3ObjectStore against answers that hurt: the table of design §3 and the faults F24–F27, F29–F31, F35, F39, F40, F42, F45, F46. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { afterEach, describe, test } from 'node:test';
import { objectBody } from '../../io/object/object-store.ts';
import { S3ObjectStore, type S3ObjectStoreOptions } from '../../io/object/s3-object-store.ts';
import { systemClock } from '../../io/system-clock.ts';
import { answer, errorAnswer, type Script, ScriptedServer, type ScriptedServerOptions } from './scripted-server.ts';
import { localhostCertificate, localhostKey } from './test-certificate.ts';

const content = Buffer.from('0123456789');
const body = objectBody([content.subarray(0, 4), content.subarray(4)], 0x01020304);
const reply =
  (bytes: Buffer): Script =>
  (_request, socket) =>
    void socket.write(bytes);

describe('S3ObjectStore and a server that misbehaves', () => {
  let server: ScriptedServer | undefined;
  let store: S3ObjectStore | undefined;
  afterEach(async () => {
    await store?.close();
    await server?.close();
    store = server = undefined;
  });

  async function start(script: Script, options: Partial<S3ObjectStoreOptions> = {}, serverOptions: ScriptedServerOptions = {}) {
    server = await ScriptedServer.listen(script, serverOptions);
    const endpoint = `${serverOptions.secure ? 'https' : 'http'}://127.0.0.1:${server.port}`;
    const credentials = { accessKeyId: 'key', secretAccessKey: 'secret' };
    store = new S3ObjectStore({ endpoint, region: 'us-east-1', bucket: 'bucket', credentials, clock: systemClock, deadlineMs: 5000, ...options });
    return { server, store };
  }

  test('a create is one conditional PUT of exactly these bytes, its CRC-32C beside it, its body not hashed', async () => {
    const { server, store } = await start(reply(answer(200, '', { etag: '"x"' })));
    assert.deepEqual(await store.create('wal/1/2', body), { kind: 'created' });
    assert.equal(server.requests.length, 1);
    const [{ method, path, headers, body: sent }] = server.requests as [(typeof server.requests)[0]];
    assert.deepEqual([method, path, sent.toString()], ['PUT', '/bucket/wal/1/2', '0123456789']);
    assert.equal(headers.get('if-none-match'), '*');
    assert.equal(headers.get('x-amz-content-sha256'), 'UNSIGNED-PAYLOAD');
    assert.equal(headers.get('x-amz-checksum-crc32c'), 'AQIDBA==');
    assert.equal(headers.get('expect'), undefined);
  });

  for (const [what, bytes] of [
    ['with a body', errorAnswer(412, 'PreconditionFailed')],
    ['without one', answer(412)],
  ] as const)
    test(`412 ${what} means that something exists there`, async () => {
      const { store } = await start(reply(bytes));
      assert.deepEqual(await store.create('k', body), { kind: 'exists' });
    });

  for (const [status, code, headers] of [
    [408, ''],
    [409, 'ConditionalRequestConflict'],
    [409, 'OperationAborted'],
    [429, 'TooManyRequests'],
    [500, 'InternalError'],
    [502, ''],
    [503, 'SlowDown', { 'retry-after': '7' }],
    [503, ''],
    [504, ''],
    [400, 'RequestTimeout'],
    [400, 'ExpiredToken'],
    [403, 'ExpiredToken'],
    [403, 'RequestTimeTooSkewed'],
    [400, 'IncompleteBody'],
    [206, ''],
  ] as readonly [number, string, Record<string, string>?][])
    test(`${status} ${code} is unknown to every call`, async () => {
      const { store } = await start(reply(code ? errorAnswer(status, code, headers) : answer(status, '', headers)));
      if (status !== 206) assert.equal((await store.create('k', body)).kind, 'unknown');
      assert.equal((await store.read('k')).kind, 'unknown');
      assert.equal((await store.readTail('k', 5)).kind, 'unknown');
      assert.equal((await store.head('k')).kind, 'unknown');
      if (status === 206) return;
      assert.equal((await store.delete(['k'])).kind, 'unknown');
      assert.equal((await store.delete(['k', 'l'])).kind, 'unknown');
      assert.equal((await store.list('')).kind, 'unknown');
    });

  for (const [status, code] of [
    [400, 'InvalidArgument'],
    [403, 'AccessDenied'],
    [403, 'SignatureDoesNotMatch'],
    [404, 'NoSuchBucket'],
    [301, 'PermanentRedirect'],
    [501, 'NotImplemented'],
    [404, ''],
  ] as const)
    test(`${status} ${code} is refused to every call`, async () => {
      const { store } = await start(reply(code ? errorAnswer(status, code) : answer(status, '<html>not found</html>')));
      assert.equal((await store.create('k', body)).kind, 'refused');
      assert.equal((await store.read('k')).kind, 'refused');
      assert.equal((await store.readTail('k', 5)).kind, 'refused');
      assert.equal((await store.head('k')).kind, 'refused');
      assert.equal((await store.delete(['k'])).kind, 'refused');
      assert.equal((await store.list('')).kind, 'refused');
    });

  test('only a 404 that names the key means missing', async () => {
    const { store } = await start(reply(errorAnswer(404, 'NoSuchKey')));
    assert.deepEqual(await store.read('k'), { kind: 'missing' });
    assert.deepEqual(await store.head('k'), { kind: 'missing' });
    assert.deepEqual(await store.delete(['k']), { kind: 'deleted' });
  });

  test('a 200 whose body is an error did not succeed', async () => {
    const { store } = await start(reply(errorAnswer(200, 'InternalError')));
    assert.equal((await store.create('k', body)).kind, 'unknown');
  });

  describe('bodies that are not what was asked for', () => {
    const part = (range: string, bytes: Buffer, headers: Record<string, string> = {}) => answer(206, bytes, { 'content-range': `bytes ${range}`, ...headers });
    for (const [what, bytes] of [
      ['a part that begins elsewhere', part('1-4/10', content.subarray(1, 5))],
      ['a part that ends early', part('0-2/10', content.subarray(0, 3))],
      ['a part shorter than its range says', part('0-3/10', content.subarray(0, 3))],
      ['a part longer than its range says', part('0-3/10', content.subarray(0, 5))],
      ['a part without its range', answer(206, content.subarray(0, 4))],
    ] as const)
      test(`${what} is unknown`, async () => {
        const { store } = await start(reply(bytes));
        assert.equal((await store.read('k', { start: 0, end: 4 })).kind, 'unknown');
      });

    test('all instead of a part is cut to the part', async () => {
      const { store } = await start(reply(answer(200, content)));
      assert.deepEqual(await store.read('k', { start: 2, end: 5 }), { kind: 'found', bytes: content.subarray(2, 5), sizeBytes: 10 });
      assert.deepEqual(await store.readTail('k', 3), { kind: 'found', bytes: content.subarray(7), sizeBytes: 10 });
      assert.deepEqual(await store.head('k'), { kind: 'found', sizeBytes: 10 });
    });

    for (const [what, end] of [
      ['reset', (socket: Socket) => void socket.resetAndDestroy()],
      ['closed', (socket: Socket) => void socket.end()],
    ] as const)
      test(`a connection ${what} in the middle of a body is unknown, and the next call has a new one`, async () => {
        const { server, store } = await start((_request, socket) => socket.write(answer(200, content).subarray(0, -4), () => end(socket)));
        assert.equal((await store.read('k')).kind, 'unknown');
        server.script = reply(answer(200, content));
        assert.deepEqual(await store.read('k'), { kind: 'found', bytes: content, sizeBytes: 10 });
        assert.equal(server.connections, 2);
      });

    test('a body without its length is unknown, since a cut would not show', async () => {
      const { store } = await start((_request, socket) => void socket.end('HTTP/1.1 200 OK\r\n\r\n0123456789'));
      assert.equal((await store.read('k')).kind, 'unknown');
    });

    test('an answer that comes byte by byte, behind interim answers, is understood', async () => {
      const { server, store } = await start((_request, socket) => {
        const bytes = Buffer.concat([Buffer.from('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n'), answer(200, content)]);
        const next = (at: number) => at < bytes.length && socket.write(bytes.subarray(at, at + 1), () => setImmediate(next, at + 1));
        next(0);
      });
      assert.deepEqual(await store.read('k'), { kind: 'found', bytes: content, sizeBytes: 10 });
      assert.deepEqual(await store.read('k'), { kind: 'found', bytes: content, sizeBytes: 10 });
      assert.equal(server.connections, 1);
    });

    test('chunked answers are put together', async () => {
      const { store } = await start(
        reply(Buffer.from('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\n0123\r\n6\r\n456789\r\n0\r\ntrailer: 1\r\n\r\n')),
      );
      assert.deepEqual(await store.read('k'), { kind: 'found', bytes: content, sizeBytes: 10 });
    });

    for (const [what, text] of [
      ['no HTTP', 'SSH-2.0-OpenSSH\r\n\r\n'],
      ['a length that is none', 'HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n'],
      ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n012345'],
      ['a coding nobody asked for', 'HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n'],
      ['a chunk that is none', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n'],
      ['a header line that is none', 'HTTP/1.1 200 OK\r\nnothing\r\n\r\n'],
      ['an endless head', `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(100_000)}`],
      ['more bytes than its length', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n0123'],
      ['an absurd length', 'HTTP/1.1 200 OK\r\ncontent-length: 999999999999999\r\n\r\n'],
    ] as const)
      test(`${what} is unknown and ends the connection`, async () => {
        const { server, store } = await start(reply(Buffer.from(text)));
        assert.equal((await store.read('k')).kind, 'unknown');
        server.script = reply(answer(200, content));
        assert.equal((await store.read('k')).kind, 'found');
        assert.equal(server.connections, 2);
      });
  });

  describe('time', () => {
    test('a call that hangs ends at its deadline and takes its connection with it', async () => {
      const { server, store } = await start(() => {}, { deadlineMs: 100 });
      assert.equal((await store.create('k', body)).kind, 'unknown');
      assert.equal(store.openConnections, 0);
      server.script = reply(answer(200));
      assert.deepEqual(await store.create('k', body), { kind: 'created' });
      assert.equal(server.connections, 2);
    });

    test('a caller that gives up ends the call at once', async () => {
      const { store } = await start(() => gaveUp.abort(), { deadlineMs: 60_000 });
      const gaveUp = new AbortController();
      assert.deepEqual(await store.read('k', undefined, { signal: gaveUp.signal }), { kind: 'unknown', cause: 'the caller gave up' });
    });

    test('hung calls that use up all sockets do not hold others longer than their deadlines, and the sockets come back', async () => {
      const { server, store } = await start(() => {}, { maxSockets: 4, deadlineMs: 300 });
      const outcomes = await Promise.all(Array.from({ length: 20 }, (_, index) => store.create(`k${index}`, body)));
      assert.ok(outcomes.every((outcome) => outcome.kind === 'unknown'));
      assert.ok(server.connections <= 8, `${server.connections} connections for 4 sockets`);
      assert.equal(store.openConnections, 0);
      server.script = reply(answer(200));
      const after = await Promise.all(Array.from({ length: 20 }, (_, index) => store.create(`k${index}`, body, { deadlineMs: 5000 })));
      assert.ok(after.every((outcome) => outcome.kind === 'created'));
      assert.equal(store.openConnections, 4);
    });

    test('more waiting calls than the limit are told at once', async () => {
      const { store } = await start(() => {}, { maxSockets: 1, maxWaiting: 2, deadlineMs: 200 });
      const outcomes = await Promise.all(Array.from({ length: 5 }, () => store.read('k')));
      assert.equal(outcomes.filter((outcome) => /2 calls wait already/.test(JSON.stringify(outcome))).length, 2);
    });

    test('a server that refuses connections is unknown', async () => {
      const { server, store } = await start(() => {});
      await server.close();
      assert.equal((await store.create('k', body)).kind, 'unknown');
    });

    test('credentials that never come end at the deadline', async () => {
      const { server, store } = await start(reply(answer(200)), { credentials: () => new Promise(() => {}), deadlineMs: 50 });
      assert.equal((await store.create('k', body)).kind, 'unknown');
      assert.equal((await store.list('')).kind, 'unknown');
      assert.equal(server.requests.length, 0);
    });
  });

  describe('connections', () => {
    test('a create that settled at its deadline has let go of its buffers: what the server reads later is what was sent', async () => {
      const received: Buffer[] = [];
      const closed = new Promise<void>((resolve) => {
        void start(
          () => {},
          { deadlineMs: 200 },
          {
            onHead: (socket) => {
              socket.pause();
              socket.removeAllListeners('data');
              socket.on('data', (bytes: Buffer) => received.push(bytes));
              socket.pause();
              paused.push(socket);
              socket.once('close', resolve);
              return true;
            },
          },
        ).then(({ store }) => begin(store));
      });
      const paused: Socket[] = [];
      const chunks = Array.from({ length: 64 }, () => Buffer.alloc(1024 * 1024, 0x11));
      function begin(store: S3ObjectStore) {
        void store.create('k', objectBody(chunks), { deadlineMs: 200 }).then((outcome) => {
          assert.equal(outcome.kind, 'unknown');
          for (const chunk of chunks) chunk.fill(0xee);
          for (const socket of paused) socket.resume();
        });
      }
      await closed;
      const bytes = Buffer.concat(received);
      assert.ok(bytes.length > 0 && bytes.length < 64 * 1024 * 1024);
      assert.equal(bytes.indexOf(0xee), -1);
    });

    test('an answer before the body was read is believed, and its connection not used again', async () => {
      let heads = 0;
      const { server, store } = await start(
        reply(answer(200)),
        {},
        { onHead: (socket) => heads++ === 0 && (socket.pause(), socket.write(errorAnswer(503, 'SlowDown'))) },
      );
      const outcome = await store.create('k', objectBody([Buffer.alloc(32 * 1024 * 1024)]));
      assert.ok(outcome.kind === 'unknown' && /SlowDown/.test(outcome.cause), JSON.stringify(outcome));
      assert.deepEqual(await store.create('k', body), { kind: 'created' });
      assert.equal(server.connections, 2);
    });

    test('a connection that the server closes after each answer is replaced', async () => {
      const { server, store } = await start((_request, socket) => void socket.end(answer(200, content, { connection: 'close' })));
      for (let round = 0; round < 3; round++) assert.equal((await store.read('k')).kind, 'found');
      assert.equal(server.connections, 3);
    });

    test('bytes that nobody asked for end an idle connection', async () => {
      const sockets: Socket[] = [];
      const { server, store } = await start((_request, socket) => {
        sockets.push(socket);
        socket.write(answer(200, content));
      });
      assert.equal((await store.read('k')).kind, 'found');
      sockets[0]!.write(answer(408));
      while (store.openConnections > 0) await new Promise(setImmediate);
      assert.equal((await store.read('k')).kind, 'found');
      assert.equal(server.connections, 2);
    });

    test('HTTPS: a certificate of a known authority is trusted, another is not', async () => {
      const secure = { key: localhostKey, cert: localhostCertificate };
      const { store } = await start(reply(answer(200, content)), { ca: localhostCertificate }, { secure });
      assert.deepEqual(await store.read('k'), { kind: 'found', bytes: content, sizeBytes: 10 });
      const large = Buffer.alloc(3_000_000, 'large');
      server!.script = (_request, socket) => void socket.write(answer(200, large));
      const read = await store.read('k');
      assert.ok(read.kind === 'found' && read.bytes.equals(large));
      server!.script = (request, socket) => void socket.write(answer(request.body.equals(large) ? 200 : 400));
      assert.deepEqual(await store.create('k', objectBody([large.subarray(0, 1_000_000), large.subarray(1_000_000)])), { kind: 'created' });
      await store.close();
      const distrusting = new S3ObjectStore({
        endpoint: `https://127.0.0.1:${server!.port}`,
        bucket: 'bucket',
        credentials: { accessKeyId: 'key', secretAccessKey: 'secret' },
        clock: systemClock,
      });
      const refused = await distrusting.read('k');
      assert.ok(refused.kind === 'unknown' && /certificate/.test(refused.cause), JSON.stringify(refused));
      await distrusting.close();
    });
  });

  describe('clocks and credentials', () => {
    test('a store that finds our clock wrong is answered by its own clock', async () => {
      const theirs = Date.now() + 3_600_000;
      const { server, store } = await start((request, socket) => {
        const signedFor = request.headers.get('x-amz-date') ?? '';
        const atMs = Date.parse(signedFor.replace(/(....)(..)(..)T(..)(..)(..)Z/, '$1-$2-$3T$4:$5:$6Z'));
        const right = Math.abs(atMs - theirs) < 900_000;
        socket.write(right ? answer(200) : errorAnswer(403, 'RequestTimeTooSkewed', { date: new Date(theirs).toUTCString() }));
      });
      assert.equal((await store.create('k', body)).kind, 'unknown');
      assert.deepEqual(await store.create('k', body), { kind: 'created' });
      assert.equal(server.requests.length, 2);
    });

    test('expired credentials are asked for anew', async () => {
      let asked = 0;
      const credentials = () =>
        Promise.resolve({
          accessKeyId: `key${++asked}`,
          secretAccessKey: 'secret',
          sessionToken: `token${asked}`,
          expiration: new Date(Date.now() + 3_600_000),
        });
      const { store } = await start(
        (request, socket) => void socket.write(request.headers.get('x-amz-security-token') === 'token2' ? answer(200) : errorAnswer(400, 'ExpiredToken')),
        { credentials },
      );
      assert.equal((await store.create('k', body)).kind, 'unknown');
      assert.deepEqual(await store.create('k', body), { kind: 'created' });
      assert.equal(asked, 2);
    });
  });

  describe('deleting and listing', () => {
    test('of a multi-object delete the keys that failed are left', async () => {
      const { store } = await start(
        reply(
          answer(200, '<DeleteResult><Error><Key>b</Key><Code>InternalError</Code></Error><Error><Key>c</Key><Code>NoSuchKey</Code></Error></DeleteResult>'),
        ),
      );
      assert.deepEqual(await store.delete(['a', 'b', 'c']), { kind: 'partial', left: ['b'] });
    });

    test('a server without multi-object delete gets single ones', async () => {
      const { server, store } = await start(
        (request, socket) => void socket.write(request.method === 'POST' ? errorAnswer(501, 'NotImplemented') : answer(204)),
      );
      assert.deepEqual(await store.delete(['a', 'b', 'c']), { kind: 'deleted' });
      assert.deepEqual(await store.delete(['d', 'e']), { kind: 'deleted' });
      assert.deepEqual(
        server.requests.map(({ method }) => method),
        ['POST', 'DELETE', 'DELETE', 'DELETE', 'DELETE', 'DELETE'],
      );
    });

    test('a list that hangs or is no list is unknown', async () => {
      const { server, store } = await start(() => {}, { deadlineMs: 100 });
      assert.equal((await store.list('')).kind, 'unknown');
      server.script = reply(answer(200, 'no list'));
      assert.notEqual((await store.list('', undefined, { deadlineMs: 5000 })).kind, 'refused');
    });
  });
});
