/** Every way out of a broker process, handed in (design §1). The simulation hands in fakes. */
import type { Clock } from './clock.ts';
import type { Logger } from './logger.ts';
import type { MetaStore } from './meta/meta-store.ts';
import type { Metrics } from './metrics.ts';
import type { ObjectStore } from './object/object-store.ts';
import type { Random } from './random.ts';
import type { Transport } from './transport.ts';

export interface Io {
  readonly clock: Clock;
  readonly random: Random;
  readonly objects: ObjectStore;
  readonly meta: MetaStore;
  readonly transport: Transport;
  readonly logger: Logger;
  readonly metrics: Metrics;
}
