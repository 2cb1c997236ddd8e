import assert from 'node:assert/strict';
import { connect as connectSocket } from 'node:net';
import { test } from 'node:test';
import { tcpTransport } from './tcp-transport.ts';
import { ConnectError, type Connection, ListenError, type Listener } from './transport.ts';

const transport = tcpTransport();
const loopback = { host: '127.0.0.1', port: 0 };

interface Peer {
  readonly connection: Connection;
  readonly received: () => Buffer;
  readonly closes: () => number;
  /** Resolves when the connection has received `length` bytes. */
  until(length: number): Promise<void>;
  readonly closed: Promise<void>;
  readonly drains: () => number;
}

function peer(connection: Connection): Peer {
  const chunks: Buffer[] = [];
  let size = 0;
  let closes = 0;
  let drains = 0;
  const waiting: (() => void)[] = [];
  let onClosed = () => {};
  const closed = new Promise<void>((resolve) => {
    onClosed = resolve;
  });
  connection.setHandler({
    onData: (chunk) => {
      chunks.push(chunk);
      size += chunk.length;
      for (const look of waiting) look();
    },
    onDrain: () => drains++,
    onClose: () => {
      closes++;
      onClosed();
    },
  });
  const until = (length: number) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (size >= length) resolve();
      };
      waiting.push(look);
      look();
    });
  return { connection, received: () => Buffer.concat(chunks), closes: () => closes, until, closed, drains: () => drains };
}

async function pair(run: (client: Peer, server: Peer, listener: Listener) => Promise<void>): Promise<void> {
  let accept: (connection: Connection) => void = () => {};
  const accepted = new Promise<Connection>((resolve) => {
    accept = resolve;
  });
  const listener = await transport.listen(loopback, (connection) => accept(connection));
  const client = await transport.connect(listener);
  const server = await accepted;
  try {
    await run(peer(client), peer(server), listener);
  } finally {
    client.destroy();
    server.destroy();
    await listener.close();
  }
}

test('chunks of many writes arrive in order, both ways', () =>
  pair(async (client, server) => {
    client.connection.write([Buffer.from('a'), Buffer.from('bc'), new Uint8Array([100])]);
    client.connection.write([Buffer.from('ef')]);
    await server.until(6);
    assert.equal(server.received().toString(), 'abcdef');
    server.connection.write([Buffer.from('ok')]);
    await client.until(2);
    assert.equal(client.received().toString(), 'ok');
    assert.match(server.connection.remote, /^127\.0\.0\.1:\d+$/);
  }));

test('a slow reader shows as false from write, and as a drain once it reads again', () =>
  pair(async (client, server) => {
    client.connection.pauseReading();
    const chunk = Buffer.alloc(256 * 1024, 7);
    let written = 0;
    while (server.connection.write([chunk])) {
      written++;
      await new Promise((resolve) => setImmediate(resolve));
    }
    written++;
    assert.ok(server.connection.pendingWriteBytes() > 0);
    client.connection.resumeReading();
    await client.until(written * chunk.length);
    while (server.drains() === 0) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(server.connection.pendingWriteBytes(), 0);
  }));

test('end sends what is queued before it closes, and drops what still arrives', () =>
  pair(async (client, server) => {
    const answer = Buffer.alloc(4 * 1024 * 1024, 1);
    client.connection.write([Buffer.alloc(256 * 1024)]);
    server.connection.write([answer]);
    server.connection.end();
    await client.closed;
    assert.equal(client.received().length, answer.length);
    await server.closed;
    assert.deepEqual([client.closes(), server.closes()], [1, 1]);
    assert.equal(server.connection.write([Buffer.from('late')]), true);
  }));

test('destroy reports the close once on both sides, even when called twice', () =>
  pair(async (client, server) => {
    client.connection.destroy();
    client.connection.destroy();
    await Promise.all([client.closed, server.closed]);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([client.closes(), server.closes()], [1, 1]);
  }));

test('a reset by the peer is a close, never an unhandled error', async () => {
  let accept: (connection: Connection) => void = () => {};
  const accepted = new Promise<Connection>((resolve) => {
    accept = resolve;
  });
  const listener = await transport.listen(loopback, (connection) => accept(connection));
  const socket = connectSocket(listener.port, '127.0.0.1');
  const server = peer(await accepted);
  socket.resetAndDestroy();
  await server.closed;
  assert.equal(server.closes(), 1);
  await listener.close();
});

test('a connection that closed before its handler was set still tells it', async () => {
  let accept: (connection: Connection) => void = () => {};
  const accepted = new Promise<Connection>((resolve) => {
    accept = resolve;
  });
  const listener = await transport.listen(loopback, (connection) => accept(connection));
  const client = await transport.connect(listener);
  const connection = await accepted;
  connection.destroy();
  client.destroy();
  await new Promise((resolve) => setTimeout(resolve, 5));
  await peer(connection).closed;
  await listener.close();
});

test('data that arrived before the handler was set is not lost', async () => {
  let accept: (connection: Connection) => void = () => {};
  const accepted = new Promise<Connection>((resolve) => {
    accept = resolve;
  });
  const listener = await transport.listen(loopback, (connection) => accept(connection));
  const client = await transport.connect(listener);
  client.write([Buffer.from('early')]);
  const connection = await accepted;
  await new Promise((resolve) => setTimeout(resolve, 5));
  const server = peer(connection);
  await server.until(5);
  assert.equal(server.received().toString(), 'early');
  client.destroy();
  connection.destroy();
  await listener.close();
});

test('closing a listener frees its port at once while open connections go on', () =>
  pair(async (client, server, listener) => {
    await listener.close();
    await listener.close();
    const again = await transport.listen({ host: '127.0.0.1', port: listener.port }, () => {});
    await again.close();
    client.connection.write([Buffer.from('still here')]);
    await server.until(10);
  }));

test('a taken port is refused with the process that holds it', async () => {
  const listener = await transport.listen(loopback, () => {});
  await assert.rejects(
    transport.listen({ host: '127.0.0.1', port: listener.port }, () => {}),
    (error: unknown) => {
      assert.ok(error instanceof ListenError);
      assert.equal(error.code, 'EADDRINUSE');
      assert.ok(error.message.includes(`127.0.0.1:${listener.port}`), error.message);
      if (process.platform === 'linux') assert.ok(error.message.includes(`process ${process.pid} (node`), error.message);
      return true;
    },
  );
  await listener.close();
});

test('an address that is not ours is refused with advice', async () => {
  await assert.rejects(
    transport.listen({ host: '192.0.2.1', port: 0 }, () => {}),
    /192\.0\.2\.1 is no address of this machine/,
  );
});

test('connecting to a closed port fails as refused, with the address in the text', async () => {
  const listener = await transport.listen(loopback, () => {});
  await listener.close();
  await assert.rejects(
    transport.connect(listener),
    (error: unknown) => error instanceof ConnectError && error.refused && error.message.includes(`127.0.0.1:${listener.port}`),
  );
});

test('an address to which there is no way is not a refusal', async () => {
  // Link-local without a link: nothing is sent.
  await assert.rejects(transport.connect({ host: 'fe80::1', port: 1 }), (error: unknown) => error instanceof ConnectError && !error.refused);
});

test('an accepted connection reads into the place that its handler names, pauses and goes on', async () => {
  const size = 3_000_000;
  const place = Buffer.alloc(size);
  let filled = 0;
  let borrowedBytes = 0;
  let pauses = 0;
  const listener = await transport.listen(loopback, (connection) => {
    connection.setHandler({
      onData: () => assert.fail('a chunk of its own'),
      receiver: {
        place: () => (borrowedBytes > 0 && filled < size ? place.subarray(filled) : undefined),
        onPlaced: (sizeBytes) => {
          filled += sizeBytes;
          if (filled === size) connection.write([place]);
          if (pauses === 3) return;
          pauses++;
          connection.pauseReading();
          setTimeout(() => connection.resumeReading(), 1);
        },
        onBorrowed: (chunk) => {
          borrowedBytes += chunk.length;
          filled += chunk.copy(place, filled);
        },
      },
      onDrain: () => {},
      onClose: () => {},
    });
  });
  const client = peer(await transport.connect(listener));
  const sent = Buffer.alloc(size, 'in its place');
  client.connection.write([sent]);
  await client.until(size);
  assert.ok(client.received().equals(sent));
  assert.ok(borrowedBytes <= 64 * 1024);
  assert.equal(pauses, 3);
  client.connection.destroy();
  await listener.close();
});
