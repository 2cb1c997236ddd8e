/** A `Transport` without a network: a test lets clients connect. */
import type { Connection, ListenAddress, Listener, Transport } from '../../../io/transport.ts';
import { FakeSocket } from './fake-socket.ts';

export class FakeTransport implements Transport {
  readonly addresses: ListenAddress[] = [];
  listening = 0;
  private accept: (connection: Connection) => void = () => {};

  listen(address: ListenAddress, onConnection: (connection: Connection) => void): Promise<Listener> {
    this.addresses.push(address);
    this.accept = onConnection;
    this.listening++;
    const close = () => {
      this.listening--;
      return Promise.resolve();
    };
    return Promise.resolve({ host: address.host, port: address.port === 0 ? 40_000 : address.port, close });
  }

  connect(): Promise<Connection> {
    return Promise.reject(new Error('clients connect with connectClient'));
  }

  connectClient(remote?: string): FakeSocket {
    const socket = new FakeSocket(remote);
    this.accept(socket);
    return socket;
  }
}
