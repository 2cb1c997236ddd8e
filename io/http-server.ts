/**
 * A tiny HTTP server for /metrics, /healthz and /readyz: a table of exact paths, GET and HEAD only, no bodies,
 * every dimension bounded (faults B64). It must never be what takes a broker down, and shows nothing that
 * is not in the table. Bound to loopback it answers only to loopback names, so that a web page cannot read it
 * through a host name that was rebound to 127.0.0.1.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import { listening } from './tcp-transport.ts';

export interface HttpAnswer {
  readonly status: number;
  /** Content type. */
  readonly type: string;
  readonly body: string;
}

export type HttpRoutes = Readonly<Record<string, () => Promise<HttpAnswer>>>;

export interface HttpServerOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly routes: HttpRoutes;
  readonly connectionsLimit?: number;
  /** One route's answer must be there within this time, else 503. */
  readonly answerTimeoutMs?: number;
  /** Request line and headers must have arrived within this time. */
  readonly headersTimeoutMs?: number;
}

export interface HttpServer {
  readonly host: string;
  readonly port: number;
  /** Stops listening and closes all connections. */
  close(): Promise<void>;
}

export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const routes = new Map(Object.entries(options.routes));
  const headersTimeoutMs = options.headersTimeoutMs ?? 5_000;
  const answerTimeoutMs = options.answerTimeoutMs ?? 10_000;
  const server = createServer({
    maxHeaderSize: 8 * 1024,
    headersTimeout: headersTimeoutMs,
    requestTimeout: headersTimeoutMs,
    keepAliveTimeout: 5_000,
    connectionsCheckingInterval: Math.min(1_000, headersTimeoutMs),
  });
  server.maxConnections = options.connectionsLimit ?? 64;
  server.maxRequestsPerSocket = 1_000;
  server.on('clientError', (_error, socket) => socket.destroy());
  server.on('request', (request, response) => {
    const refusal = refuse(request, bound.isLoopback);
    if (refusal) return send(request, response, refusal, true);
    const route = routes.get((request.url ?? '').split('?', 1)[0] ?? '');
    if (!route) return send(request, response, textAnswer(404, 'not found'), false);
    void answerOf(route, answerTimeoutMs).then((answer) => send(request, response, answer, false));
  });
  server.on('upgrade', (_request, socket) => socket.destroy());
  server.on('connect', (_request, socket) => socket.destroy());

  await listening(server, { host: options.host, port: options.port });
  const bound = boundAddress(server);
  server.on('error', () => {});
  let closing: Promise<void> | undefined;
  return {
    host: bound.host,
    port: bound.port,
    close: () => {
      closing ??= new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      return closing;
    },
  };
}

/** What is wrong with the request itself, if anything. The connection is closed after such an answer. */
function refuse(request: IncomingMessage, isLoopback: boolean): HttpAnswer | undefined {
  if (request.method !== 'GET' && request.method !== 'HEAD') return textAnswer(405, 'only GET and HEAD');
  if (request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) !== 0) return textAnswer(413, 'no request bodies');
  if (isLoopback && !isLoopbackName(request.headers.host ?? '')) return textAnswer(421, 'not a name of this server');
  return undefined;
}

function isLoopbackName(hostHeader: string): boolean {
  const host = hostHeader.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  return host === '' || host.toLowerCase() === 'localhost' || isIP(host) !== 0;
}

async function answerOf(route: () => Promise<HttpAnswer>, timeoutMs: number): Promise<HttpAnswer> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<HttpAnswer>((resolve) => {
    timer = setTimeout(() => resolve(textAnswer(503, 'no answer in time')), timeoutMs);
  });
  try {
    return await Promise.race([route(), late]);
  } catch {
    // The error's text may hold what nobody outside should read.
    return textAnswer(500, 'internal error');
  } finally {
    clearTimeout(timer);
  }
}

function send(request: IncomingMessage, response: ServerResponse, answer: HttpAnswer, closeAfter: boolean): void {
  if (response.destroyed) return;
  const body = Buffer.from(answer.body, 'utf8');
  response.writeHead(answer.status, {
    'content-type': answer.type,
    'content-length': body.length,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(answer.status === 405 ? { allow: 'GET, HEAD' } : {}),
    ...(closeAfter ? { connection: 'close' } : {}),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

export function textAnswer(status: number, text: string): HttpAnswer {
  return { status, type: 'text/plain; charset=utf-8', body: `${text}\n` };
}

function boundAddress(server: Server): { readonly host: string; readonly port: number; readonly isLoopback: boolean } {
  const address = server.address();
  if (typeof address !== 'object' || address == null) throw new Error('the server has no address');
  const { address: host, port } = address;
  return { host, port, isLoopback: host === '::1' || host.startsWith('127.') };
}
