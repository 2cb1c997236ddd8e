/**
 * Port 0 of a listener becomes a free port before anything is registered: what this life and the next ones advertise must be where clients
 * reach them. The port is given back for a moment; who takes it meanwhile makes the start fail with the port's name.
 */
import type { Transport } from '../io/transport.ts';
import type { BrokerConfig } from './config.ts';

export async function withFreePorts(config: BrokerConfig, transport: Transport): Promise<BrokerConfig> {
  if (config.listeners.every(({ port }) => port !== 0)) return config;
  const taken = await Promise.all(
    config.listeners.map(async (listener) => {
      if (listener.port !== 0) return { listener, close: () => Promise.resolve() };
      const bound = await transport.listen({ host: listener.host === '' ? '0.0.0.0' : listener.host, port: 0 }, (connection) => connection.destroy());
      return { listener: { ...listener, port: bound.port }, close: () => bound.close() };
    }),
  );
  // All at once, or two listeners could get the same one.
  for (const { close } of taken) await close();
  return { ...config, listeners: taken.map(({ listener }) => listener) };
}
