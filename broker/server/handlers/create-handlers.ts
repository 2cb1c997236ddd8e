/** All request handlers that stand on the broker's services; coordinators bring their own. */
import type { AnyHandler } from '../handler.ts';
import type { AdvertisedRange } from '../request-router.ts';
import type { ResponseMemory } from '../response-memory.ts';
import type { Services } from '../services.ts';
import { alterConfigsHandler, incrementalAlterConfigsHandler } from './alter-configs.ts';
import { alterPartitionReassignmentsHandler } from './alter-partition-reassignments.ts';
import { alterReplicaLogDirsHandler } from './alter-replica-log-dirs.ts';
import { apiVersionsHandler } from './api-versions.ts';
import { createPartitionsHandler } from './create-partitions.ts';
import { createTopicsHandler } from './create-topics.ts';
import { deleteRecordsHandler } from './delete-records.ts';
import { deleteTopicsHandler } from './delete-topics.ts';
import { describeClusterHandler } from './describe-cluster.ts';
import { describeConfigsHandler } from './describe-configs.ts';
import { describeLogDirsHandler } from './describe-log-dirs.ts';
import { describeProducersHandler } from './describe-producers.ts';
import { describeQuorumHandler } from './describe-quorum.ts';
import { describeTopicPartitionsHandler } from './describe-topic-partitions.ts';
import { electLeadersHandler } from './elect-leaders.ts';
import { fetchHandler } from './fetch.ts';
import { initProducerIdHandler } from './init-producer-id.ts';
import { listConfigResourcesHandler } from './list-config-resources.ts';
import { listOffsetsHandler } from './list-offsets.ts';
import { listPartitionReassignmentsHandler } from './list-partition-reassignments.ts';
import { metadataHandler } from './metadata.ts';
import { offsetForLeaderEpochHandler } from './offset-for-leader-epoch.ts';
import { produceHandler } from './produce.ts';
import { updateFeaturesHandler } from './update-features.ts';

export interface HandlerSurroundings {
  readonly responseMemory: ResponseMemory;
  readonly advertised: () => readonly AdvertisedRange[];
}

export function createHandlers(services: Services, { responseMemory, advertised }: HandlerSurroundings): readonly AnyHandler[] {
  return [
    produceHandler(services),
    fetchHandler(services, responseMemory),
    listOffsetsHandler(services),
    metadataHandler(services),
    deleteRecordsHandler(services),
    initProducerIdHandler(services),
    offsetForLeaderEpochHandler(services),
    describeLogDirsHandler(services),
    alterReplicaLogDirsHandler(services),
    describeClusterHandler(services),
    describeProducersHandler(services),
    describeTopicPartitionsHandler(services),
    createTopicsHandler(services),
    deleteTopicsHandler(services),
    createPartitionsHandler(services),
    describeConfigsHandler(services),
    alterConfigsHandler(services),
    incrementalAlterConfigsHandler(services),
    listConfigResourcesHandler(services),
    electLeadersHandler(services),
    alterPartitionReassignmentsHandler(services),
    listPartitionReassignmentsHandler(services),
    describeQuorumHandler(services),
    updateFeaturesHandler(services),
    apiVersionsHandler(advertised, services.storage),
  ];
}
