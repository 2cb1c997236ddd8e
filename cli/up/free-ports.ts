/** Ports of 127.0.0.1 for processes that are started: free a moment ago, which is the best that can be known. */
import { createServer, type Server } from 'node:net';
import { listening } from '../../io/tcp-transport.ts';

export const host = '127.0.0.1';

/** Different ones: all are held until the last is found. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  try {
    for (const server of servers) await listening(server, { host, port: 0 });
    return servers.map(portOf);
  } finally {
    for (const server of servers) server.close();
  }
}

/** Rejects with a `ListenError` that says who holds the port. */
export async function checkFree(port: number): Promise<void> {
  const server = createServer();
  try {
    await listening(server, { host, port });
  } finally {
    server.close();
  }
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address ? address.port : 0;
}
