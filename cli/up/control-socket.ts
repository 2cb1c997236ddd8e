/**
 * How the commands of `automq up` reach a cluster that runs: a socket in its data folder, one line of JSON each way. Who may open
 * the folder may command the cluster.
 */
import { chmod, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { StartRefused } from '../start-refusal.ts';

export interface ControlRequest {
  readonly command: string;
  readonly node?: number;
}

export type ControlAnswer = { readonly kind: 'done'; readonly text: string; readonly details?: unknown } | { readonly kind: 'refused'; readonly text: string };

export interface ControlServer {
  close(): Promise<void>;
}

const mostLineCharacters = 1_000_000;
const mostConnections = 32;

/** `path` must be ours alone: what a dead process left there is removed. */
export async function serveControl(path: string, answer: (request: ControlRequest) => Promise<ControlAnswer>): Promise<ControlServer> {
  await rm(path, { force: true });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => socket.destroy());
    readLine(socket)
      .then(async (line) => socket.end(`${JSON.stringify(await answer(JSON.parse(line) as ControlRequest))}\n`))
      .catch(() => socket.destroy());
  });
  server.maxConnections = mostConnections;
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve));
  await chmod(path, 0o600);
  return {
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Rejects with `StartRefused` when no cluster listens there. */
export async function askControl(path: string, request: ControlRequest): Promise<ControlAnswer> {
  const socket = connect(path);
  try {
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  } catch {
    throw new StartRefused(
      'no cluster of several brokers runs with this data folder. Start one with: automq up --brokers 3   (or name its folder with --data)',
    );
  }
  socket.write(`${JSON.stringify(request)}\n`);
  try {
    return JSON.parse(await readLine(socket)) as ControlAnswer;
  } catch {
    throw new StartRefused('the cluster ended before it answered');
  } finally {
    socket.destroy();
  }
}

function readLine(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    socket.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
      const end = text.indexOf('\n');
      if (end >= 0) resolve(text.slice(0, end));
      else if (text.length > mostLineCharacters) reject(new Error('the line is too long'));
    });
    socket.on('error', reject).on('close', () => reject(new Error('the connection ended')));
  });
}
