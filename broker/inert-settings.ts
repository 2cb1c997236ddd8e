/**
 * Kafka's broker settings that nothing here obeys. The inert ones speak of local disks, threads, replicas and the controller quorum:
 * they may stay in a server.properties, with a warning. The refused ones would be dangerous to ignore.
 */

export const inertBrokerSettings: ReadonlySet<string> = new Set(
  `
  process.roles controller.listener.names controller.quorum.voters controller.quorum.bootstrap.servers inter.broker.listener.name
  security.inter.broker.protocol log.dir log.dirs log.cleaner.enable log.cleaner.threads log.cleaner.dedupe.buffer.size
  log.cleaner.io.buffer.size log.cleaner.io.max.bytes.per.second log.cleaner.backoff.ms log.flush.offset.checkpoint.interval.ms
  log.flush.start.offset.checkpoint.interval.ms log.dir.failure.timeout.ms metadata.log.dir num.network.threads num.io.threads
  num.recovery.threads.per.data.dir num.replica.fetchers background.threads queued.max.requests socket.send.buffer.bytes
  socket.receive.buffer.bytes socket.listen.backlog.size replica.fetch.max.bytes replica.fetch.min.bytes replica.fetch.wait.max.ms
  replica.fetch.response.max.bytes replica.lag.time.max.ms replica.socket.timeout.ms replica.socket.receive.buffer.bytes replica.selector.class
  replica.high.watermark.checkpoint.interval.ms auto.leader.rebalance.enable leader.imbalance.check.interval.seconds controlled.shutdown.enable
  request.timeout.ms transaction.state.log.replication.factor transaction.state.log.min.isr transaction.state.log.segment.bytes
  transaction.state.log.load.buffer.size offsets.topic.segment.bytes offsets.topic.compression.codec offsets.load.buffer.size
  group.coordinator.threads group.coordinator.append.linger.ms group.coordinator.rebalance.protocols group.min.heartbeat.interval.ms
  share.coordinator.state.topic.replication.factor share.coordinator.state.topic.min.isr share.coordinator.state.topic.num.partitions
  broker.heartbeat.interval.ms broker.session.timeout.ms fetch.purgatory.purge.interval.requests producer.purgatory.purge.interval.requests
  delete.records.purgatory.purge.interval.requests metric.reporters metrics.num.samples metrics.sample.window.ms metrics.recording.level
  kafka.metrics.reporters kafka.metrics.polling.interval.secs remote.log.storage.system.enable unclean.leader.election.interval.ms
  initial.broker.registration.timeout.ms
  `
    .trim()
    .split(/\s+/),
);

/** What a Kafka setting promises that we do not keep yet must stop the start, not be ignored. */
export const refusedBrokerPrefixes: readonly string[] = [
  'ssl.',
  'sasl.',
  'authorizer.',
  'super.users',
  'delegation.token.',
  'security.providers',
  'principal.builder.',
];
