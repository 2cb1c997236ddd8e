/** The brokers that are compared, each started on a fresh folder and a free port. */
import { join } from 'node:path';
import { startBroker } from '../test/lab/broker.ts';
import { startKafka } from '../test/lab/kafka.ts';
import type { Program } from '../test/lab/program.ts';
import { startS3Server } from '../test/lab/s3-server.ts';

export interface Target {
  readonly name: string;
  readonly label: string;
  start(folder: string): Promise<RunningTarget>;
}

export interface RunningTarget {
  readonly bootstrap: string;
  readonly broker: Program;
  /** Servers that it stands on; their CPU is shown beside the broker's. */
  readonly stores: readonly Program[];
  /** Where our broker shows its counters. */
  readonly metricsUrl: string | undefined;
  /** The broker's end and a new start on the same stores. */
  restart(): Promise<RunningTarget>;
  stop(): Promise<void>;
}

/** Merge, checkpoint and collection shall run inside the measured time, not an hour later. */
const busyBackground = ['--gc.delay.ms=10000', '--checkpoint.interval.ms=10000', '--merge.interval.ms=10000'];

export const targets: readonly Target[] = [
  { name: 'kafka', label: 'Apache Kafka, local disk', start: (folder) => kafkaTarget(folder) },
  { name: 'folder', label: 'this broker, folder', start: (folder) => ownTarget({ folder, settings: busyBackground, stores: [] }) },
  { name: 'versitygw', label: 'this broker, S3 (versitygw)', start: (folder) => s3Target(folder) },
];

async function kafkaTarget(folder: string): Promise<RunningTarget> {
  const { bootstrap, program } = await startKafka({ folder });
  return {
    bootstrap,
    broker: program,
    stores: [],
    metricsUrl: undefined,
    restart: async () => {
      await program.stop(60_000);
      return kafkaTarget(folder);
    },
    stop: async () => {
      await program.stop(60_000);
    },
  };
}

async function s3Target(folder: string): Promise<RunningTarget> {
  const server = await startS3Server('versitygw', join(folder, 'versitygw'));
  return ownTarget({ folder, settings: busyBackground, stores: [server.program], s3: server });
}

interface OwnOptions {
  readonly folder: string;
  readonly settings: readonly string[];
  readonly stores: readonly Program[];
  readonly s3?: Awaited<ReturnType<typeof startS3Server>>;
}

async function ownTarget(options: OwnOptions): Promise<RunningTarget> {
  const { bootstrap, metricsUrl, program } = await startBroker({
    folder: options.folder,
    settings: options.settings,
    ...(options.s3 ? { s3: options.s3 } : {}),
  });
  return {
    bootstrap,
    broker: program,
    stores: options.stores,
    metricsUrl,
    restart: async () => {
      await program.stop(60_000);
      return ownTarget(options);
    },
    stop: async () => {
      await program.stop(60_000);
      for (const store of options.stores) await store.stop();
    },
  };
}
