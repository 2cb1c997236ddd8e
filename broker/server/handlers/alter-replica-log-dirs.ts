/**
 * AlterReplicaLogDirs: moves a replica to another directory of its broker (KIP-113). There is one directory, the bucket, so the only wish that can
 * be met is to stay there. It matters all the same: what kafka-reassign-partitions prints "to use during rollback" names the directory of every
 * partition, and the tool asks for it at the new broker until the partition has arrived.
 *
 * v2 flexible.
 */
import { ErrorCodes, type ErrorCode } from '../../protocol/errors.ts';
import { ApiKeys, type RequestOf, type ResponseInputOf } from '../../protocol/messages.gen.ts';
import type { HandlerOf } from '../handler.ts';
import type { Services } from '../services.ts';
import { logDirOf } from './log-dir.ts';
import { accessPartition } from './partition-access.ts';

type AlterDirsRequest = RequestOf<typeof ApiKeys.AlterReplicaLogDirs>;
type TopicResult = ResponseInputOf<typeof ApiKeys.AlterReplicaLogDirs>['results'][number];

export function alterReplicaLogDirsHandler(services: Services): HandlerOf<typeof ApiKeys.AlterReplicaLogDirs> {
  return {
    apiKey: ApiKeys.AlterReplicaLogDirs,
    minVersion: 1,
    maxVersion: 2,
    concurrency: 'serial',
    handle: ({ dirs }) => ({ results: resultsOf(services, dirs) }),
  };
}

/** One result per topic, also when the request spreads it over directories. */
function resultsOf(services: Services, dirs: AlterDirsRequest['dirs']): TopicResult[] {
  const results = new Map<string, TopicResult['partitions'][number][]>();
  for (const { path, topics } of dirs) {
    for (const { name, partitions } of topics) {
      const answers = partitions.map((partitionIndex) => ({ partitionIndex, errorCode: errorOf(services, name, partitionIndex, path) }));
      const known = results.get(name);
      if (known) for (const answer of answers) known.push(answer);
      else results.set(name, answers);
    }
  }
  return [...results].map(([topicName, partitions]) => ({ topicName, partitions }));
}

function errorOf(services: Services, name: string, partition: number, path: string): ErrorCode {
  if (path !== logDirOf(services)) return ErrorCodes.LOG_DIR_NOT_FOUND;
  const topic = services.image.topicByName(name);
  if (topic === undefined) return ErrorCodes.UNKNOWN_TOPIC_OR_PARTITION;
  const access = accessPartition(services, topic.topicId, partition);
  if (access.kind !== 'error') return ErrorCodes.NONE;
  return access.error === ErrorCodes.NOT_LEADER_OR_FOLLOWER ? ErrorCodes.REPLICA_NOT_AVAILABLE : access.error;
}
