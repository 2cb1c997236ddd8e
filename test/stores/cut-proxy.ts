/** A TCP proxy on one link of a test: it can cut the link, let it go silent, or break it after so many bytes of answers. */
import { connect, createServer, type Server, type Socket } from 'node:net';

export class CutProxy {
  readonly endpoint: string;
  readonly #server: Server;
  readonly #targetPort: number;
  readonly #links = new Set<{ readonly client: Socket; readonly server: Socket }>();
  #mode: 'open' | 'refusing' | 'silent' | 'deaf' = 'open';
  #answerBytesLeft = Number.POSITIVE_INFINITY;
  /** Pieces of answers that came from the server. */
  answers = 0;

  private constructor(server: Server, targetPort: number) {
    this.#server = server;
    this.#targetPort = targetPort;
    this.endpoint = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
    server.on('connection', (client) => this.#accept(client));
  }

  static async to(targetPort: number): Promise<CutProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new CutProxy(server, targetPort);
  }

  /** Resets all connections and refuses new ones. */
  cut(): void {
    this.#mode = 'refusing';
    this.#reset();
  }

  /** Accepts and says nothing; open connections hang. */
  silence(): void {
    this.#mode = 'silent';
    for (const { client, server } of this.#links) {
      client.pause();
      server.pause();
    }
  }

  heal(): void {
    if (this.#mode !== 'open') this.#reset();
    this.#mode = 'open';
  }

  /** Requests still arrive, answers are dropped. */
  dropAnswers(): void {
    this.#mode = 'deaf';
  }

  /** Resets everything once the servers have answered so many more bytes; the next connections are open again. */
  breakAfter(answerBytes: number): void {
    this.#answerBytesLeft = answerBytes;
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(client: Socket): void {
    client.on('error', () => {});
    if (this.#mode === 'refusing') {
      client.resetAndDestroy();
      return;
    }
    const server = connect(this.#targetPort, '127.0.0.1');
    server.on('error', () => client.destroy());
    const link = { client, server };
    this.#links.add(link);
    client.on('data', (data) => server.write(data));
    server.on('data', (data) => {
      this.answers++;
      if (this.#mode === 'deaf') return;
      this.#answerBytesLeft -= data.length;
      if (this.#answerBytesLeft > 0) {
        client.write(data);
        return;
      }
      this.#answerBytesLeft = Number.POSITIVE_INFINITY;
      this.#reset();
    });
    client.on('close', () => {
      this.#links.delete(link);
      server.destroy();
    });
    server.on('close', () => client.destroy());
    if (this.#mode === 'silent') {
      client.pause();
      server.pause();
    }
  }

  #reset(): void {
    for (const { client, server } of this.#links) {
      client.resetAndDestroy();
      server.destroy();
    }
  }
}
