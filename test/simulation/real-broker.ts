/** The real broker as a program of the simulation. */
import { type Broker, startBroker } from '../../broker/broker.ts';
import { brokerConfig, brokerSettingTypes } from '../../broker/config.ts';
import type { Mutants } from '../../broker/log/mutants.ts';
import type { BrokerProgram } from './sim-broker.ts';

export function realBroker(mutants?: Mutants): BrokerProgram {
  return async (io, launch) => {
    const config = brokerConfig({
      ...launch.settings,
      'node.id': String(launch.nodeId),
      listeners: `PLAINTEXT://${launch.host}:${launch.port}`,
      // A broker that does not know the setting refuses to start with it.
      ...(brokerSettingTypes.has('internal.listener') ? { 'internal.listener': `${launch.host}:${launch.internalPort}` } : {}),
      // Any remote store: its uploads are paced.
      'storage.url': 's3://simulated',
    });
    const broker: Broker = await startBroker(config, io, { clusterId: 'simulated', ...(mutants ? { mutants } : {}) });
    return { close: () => broker.close(), ended: broker.failed.then((error) => error.stack ?? String(error)) };
  };
}
