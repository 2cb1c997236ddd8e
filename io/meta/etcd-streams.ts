/**
 * etcd's bare streams. `pool` is protected in etcd3's types; what it exports for streams marks a host as failed, and
 * closes its channels, whenever one of our streams ends by our own cancelling.
 */
import {
  type Etcd3,
  type ICallable,
  type IDuplexStream,
  type ILeaseKeepAliveRequest,
  type ILeaseKeepAliveResponse,
  type IWatchRequest,
  type IWatchResponse,
  LeaseClient,
  WatchClient,
} from 'etcd3';

export type WatchStream = IDuplexStream<IWatchRequest, IWatchResponse>;
export type KeepAliveStream = IDuplexStream<ILeaseKeepAliveRequest, ILeaseKeepAliveResponse>;

/** "hasleader" makes a member that was cut off from the others end its streams. */
export function openWatchStream(client: Etcd3): Promise<WatchStream> {
  return new WatchClient(streamsWithLeader(client)).watch();
}

export function openKeepAliveStream(client: Etcd3): Promise<KeepAliveStream> {
  return new LeaseClient(streamsWithLeader(client)).leaseKeepAlive();
}

function streamsWithLeader(client: Etcd3): ICallable<unknown> {
  const pool = client['pool'];
  return {
    exec: (service, method, params, options) => pool.exec(service, method, params, options),
    withConnection: (service, run) =>
      pool.withConnection(service, ({ resource, client: connected, metadata }) => {
        const withLeader = metadata.clone();
        withLeader.set('hasleader', 'true');
        return run({ resource, client: connected, metadata: withLeader });
      }),
    markFailed: () => {},
    callOptionsFactory: undefined,
  };
}
