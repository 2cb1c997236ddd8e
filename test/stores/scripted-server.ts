/**
 * An HTTP server that answers what a test says, byte for byte, and as badly as it says: for answers that no well-behaved server gives.
 */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createSecureServer } from 'node:tls';

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
  /** Which connection it came over, counted from 1. */
  readonly connection: number;
}

/** What to do with a request: write to the socket, end it, or let it hang. */
export type Script = (request: SeenRequest, socket: Socket) => void;

export interface ScriptedServerOptions {
  readonly secure?: { readonly key: string; readonly cert: string };
  /** Called when a head is there, before its body; true means that it has dealt with the request. */
  readonly onHead?: (socket: Socket) => boolean;
}

export class ScriptedServer {
  readonly requests: SeenRequest[] = [];
  script: Script;
  connections = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  static async listen(script: Script, options: ScriptedServerOptions = {}): Promise<ScriptedServer> {
    const scripted = new ScriptedServer(script, options);
    await new Promise<void>((resolve) => scripted.#server.listen(0, '127.0.0.1', resolve));
    return scripted;
  }

  private constructor(script: Script, { secure, onHead }: ScriptedServerOptions) {
    this.script = script;
    const accept = (socket: Socket) => this.#accept(socket, onHead);
    this.#server = secure ? createSecureServer(secure, accept) : createServer({ noDelay: true }, accept);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Connections that are open now. */
  get open(): number {
    return this.#sockets.size;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(socket: Socket, onHead: ScriptedServerOptions['onHead']): void {
    const connection = ++this.connections;
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    socket.on('error', () => {});
    let pending = Buffer.alloc(0);
    let handled = false;
    socket.on('data', (bytes: Buffer) => {
      if (handled) return;
      pending = Buffer.concat([pending, bytes]);
      const end = pending.indexOf('\r\n\r\n');
      if (end < 0) return;
      if (onHead?.(socket)) {
        handled = true;
        return;
      }
      const [requestLine = '', ...lines] = pending.toString('latin1', 0, end).split('\r\n');
      const headers = new Map(lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()] as const));
      const length = Number(headers.get('content-length') ?? 0);
      if (pending.length < end + 4 + length) return;
      const [method = '', path = ''] = requestLine.split(' ');
      const request = { method, path, headers, body: Buffer.from(pending.subarray(end + 4, end + 4 + length)), connection };
      pending = pending.subarray(end + 4 + length);
      this.requests.push(request);
      this.script(request, socket);
    });
  }
}

/** A complete answer. */
export function answer(status: number, body: Buffer | string = '', headers: Readonly<Record<string, string>> = {}): Buffer {
  const bytes = Buffer.from(body);
  const all = { 'content-length': String(bytes.length), ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`HTTP/1.1 ${status} As told\r\n${lines.join('')}\r\n`), bytes]);
}

/** An answer as S3 refuses. */
export function errorAnswer(status: number, code: string, headers: Readonly<Record<string, string>> = {}): Buffer {
  return answer(status, `<?xml version="1.0"?>\n<Error><Code>${code}</Code><Message>as told</Message></Error>`, headers);
}
