/** Ports of processes and proxies that go and come back: below those that the system gives to outgoing connections. */
import { createServer } from 'node:net';

const first = 12_000;
const count = 18_000;
const given = new Set<number>();

/** Free a moment ago, and not given twice. */
export async function lastingPort(): Promise<number> {
  for (;;) {
    const port = first + Math.floor(Math.random() * count);
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
