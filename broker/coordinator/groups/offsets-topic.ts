/** The topic `__consumer_offsets`: who owns which group's partition of it, and its creation at the first use. */
import type { BrokerImage, ClusterImage } from '../../../cluster/cluster-image.ts';
import type { TopicId } from '../../../cluster/identifiers.ts';
import type { Logger } from '../../../io/logger.ts';
import { ErrorCodes } from '../../protocol/errors.ts';
import type { TopicAdmin } from '../../server/services.ts';
import { partitionOfGroup } from './coordinator-partition.ts';
import { offsetsTopic } from './group-records.ts';

/** As Kafka creates it: compacted, and small enough segments for a quick start. */
const offsetsTopicConfig = { 'cleanup.policy': 'compact', 'compression.type': 'producer', 'segment.bytes': String(100 * 1024 * 1024) };

export interface OffsetsTopicOptions {
  readonly image: ClusterImage;
  readonly admin: TopicAdmin;
  readonly logger: Logger;
  /** offsets.topic.num.partitions: of a topic that does not exist yet. */
  readonly partitionCount: number;
}

export class OffsetsTopic {
  readonly #options: OffsetsTopicOptions;
  #creation: Promise<void> | undefined;

  constructor(options: OffsetsTopicOptions) {
    this.#options = options;
  }

  /** Undefined while the topic does not exist. */
  partitionOf(groupId: string): { readonly topicId: TopicId; readonly partition: number } | undefined {
    const topic = this.#options.image.topicByName(offsetsTopic);
    return topic && { topicId: topic.topicId, partition: partitionOfGroup(groupId, topic.partitionCount) };
  }

  /** The live broker that coordinates the group; undefined while there is none, for instance because the topic is being created. */
  coordinatorOf(groupId: string): BrokerImage | undefined {
    const { image } = this.#options;
    const place = this.partitionOf(groupId);
    if (!place) {
      this.#create();
      return undefined;
    }
    const leader = image.leaderOf(place.topicId, place.partition)?.leader ?? -1;
    return image.brokers().find(({ node }) => node === leader);
  }

  /** Settles when no creation runs. */
  async close(): Promise<void> {
    await this.#creation;
  }

  #create(): void {
    const { admin, logger, partitionCount } = this.#options;
    this.#creation ??= admin
      .createTopic({ name: offsetsTopic, partitionCount, config: offsetsTopicConfig })
      .then(
        (outcome) => {
          if (outcome.kind === 'done') logger.info('the topic of committed offsets is created', { topic: offsetsTopic, partitionCount });
          else if (outcome.error !== ErrorCodes.TOPIC_ALREADY_EXISTS)
            logger.warn('the topic of committed offsets cannot be created, the next request tries again', { error: outcome.error, reason: outcome.message });
        },
        (cause: unknown) => logger.error('creating the topic of committed offsets failed, the next request tries again', { cause }),
      )
      .finally(() => {
        this.#creation = undefined;
      });
  }
}
