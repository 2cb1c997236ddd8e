import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tcpTransport } from '../io/tcp-transport.ts';
import { brokerConfig } from './config.ts';
import { withFreePorts } from './listener-ports.ts';

test('each listener with port 0 gets a free port of its own, and others keep theirs', async () => {
  const transport = tcpTransport();
  const listeners = 'A://127.0.0.1:0,B://127.0.0.1:0,C://127.0.0.1:19092';
  const config = brokerConfig({ listeners, 'listener.security.protocol.map': 'A:PLAINTEXT,B:PLAINTEXT,C:PLAINTEXT', 'internal.listener': '' });
  const [a, b, c] = (await withFreePorts(config, transport)).listeners.map(({ port }) => port);
  assert.ok(a! > 0 && b! > 0 && a !== b);
  assert.equal(c, 19092);
  const listener = await transport.listen({ host: '127.0.0.1', port: a! }, (connection) => connection.destroy());
  await listener.close();
});
