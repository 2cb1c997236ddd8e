/**
 * Apache Kafka itself, one node, and its own command-line tools, from the jars on Maven Central (versions in kafka/pom.xml).
 * Our tests run against it first: a test that it fails is a wrong test.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { builtOnce, cacheFolder, labFile, run } from './cache.ts';
import { freePort, Program } from './program.ts';
import { type CommandOptions, type CommandResult, runCommand } from './run-command.ts';

const tools: Readonly<Record<string, string>> = {
  'kafka-topics': 'org.apache.kafka.tools.TopicCommand',
  'kafka-configs': 'kafka.admin.ConfigCommand',
  'kafka-console-producer': 'org.apache.kafka.tools.ConsoleProducer',
  'kafka-console-consumer': 'org.apache.kafka.tools.consumer.ConsoleConsumer',
  'kafka-consumer-groups': 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand',
  'kafka-get-offsets': 'org.apache.kafka.tools.GetOffsetShell',
  'kafka-cluster': 'org.apache.kafka.tools.ClusterTool',
  'kafka-reassign-partitions': 'org.apache.kafka.tools.reassign.ReassignPartitionsCommand',
  'kafka-leader-election': 'org.apache.kafka.tools.LeaderElectionCommand',
  'kafka-log-dirs': 'org.apache.kafka.tools.LogDirsCommand',
  'kafka-features': 'org.apache.kafka.tools.FeatureCommand',
  'kafka-metadata-quorum': 'org.apache.kafka.tools.MetadataQuorumCommand',
  'kafka-broker-api-versions': 'org.apache.kafka.tools.BrokerApiVersionsCommand',
  'kafka-producer-perf-test': 'org.apache.kafka.tools.ProducerPerformance',
  'kafka-consumer-perf-test': 'org.apache.kafka.tools.ConsumerPerformance',
  'kafka-e2e-latency': 'org.apache.kafka.tools.EndToEndLatency',
  'kafka-verifiable-producer': 'org.apache.kafka.tools.VerifiableProducer',
  'kafka-verifiable-consumer': 'org.apache.kafka.tools.VerifiableConsumer',
  'kafka-storage': 'kafka.tools.StorageTool',
};

/** The folder of the jars; fetched the first time. */
export function kafkaJars(): string {
  return builtOnce(join(cacheFolder, 'kafka-libs'), readFileSync(labFile('kafka/pom.xml'), 'utf8'), (work) => {
    const out = join(work, 'libs');
    run('mvn', ['-B', '-q', '-f', labFile('kafka/pom.xml'), 'dependency:copy-dependencies', `-DoutputDirectory=${out}`, '-DincludeScope=runtime'], {}, work);
    renameSync(out, join(cacheFolder, 'kafka-libs'));
  });
}

export interface KafkaBroker {
  readonly bootstrap: string;
  readonly program: Program;
}

/** Starts Apache Kafka on a free port, formatting `folder` the first time. */
export async function startKafka(options: { readonly folder: string; readonly heapMiB?: number; readonly port?: number }): Promise<KafkaBroker> {
  const port = options.port ?? (await freePort());
  const controllerPort = await freePort();
  const heap = `${options.heapMiB ?? 1024}m`;
  mkdirSync(options.folder, { recursive: true });
  const properties = join(options.folder, 'server.properties');
  writeFileSync(properties, serverProperties({ port, controllerPort, logs: join(options.folder, 'logs') }));
  const java = javaArguments();
  if (!existsSync(join(options.folder, 'logs', 'meta.properties'))) {
    execFileSync('java', [...java, tools['kafka-storage']!, 'format', '--standalone', '-t', 'YXV0b21xLWxhYi0wMDAwMQ', '-c', properties], { stdio: 'pipe' });
  }
  const tuning = ['-server', '-XX:+UseG1GC', '-XX:MaxGCPauseMillis=20', '-XX:InitiatingHeapOccupancyPercent=35', '-XX:+ExplicitGCInvokesConcurrent'];
  const program = await Program.start({
    command: 'java',
    args: [`-Xms${heap}`, `-Xmx${heap}`, ...tuning, ...java, 'kafka.Kafka', properties],
    logFile: join(options.folder, 'kafka.log'),
    port,
    startTimeoutMs: 90_000,
  });
  return { bootstrap: `127.0.0.1:${port}`, program };
}

/** Runs one of Kafka's tools by the name of its script. */
export function kafkaTool(name: string, args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const toolClass = tools[name];
  if (!toolClass) throw new Error(`no such tool: ${name}`);
  return runCommand('java', ['-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', ...javaArguments(), toolClass, ...args], options);
}

function javaArguments(): string[] {
  return ['-Djava.awt.headless=true', '-Dfile.encoding=UTF-8', `-Dlog4j2.configurationFile=${labFile('kafka/log4j2.properties')}`, '-cp', `${kafkaJars()}/*`];
}

function serverProperties(at: { readonly port: number; readonly controllerPort: number; readonly logs: string }): string {
  const { port, controllerPort, logs } = at;
  return `process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:${controllerPort}
listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}
advertised.listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=${logs}
num.partitions=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=16
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=16
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
group.initial.rebalance.delay.ms=0
log.segment.bytes=268435456
`;
}
