/**
 * Creates the topics that Metadata requests name and nobody made (auto.create.topics.enable). One creation per name at a
 * time, and few per request: a request with many wrong names must not flood the cluster with topics (faults.md B53).
 */
import { sleep } from '../../../io/clock.ts';
import type { Services } from '../services.ts';
import { collidingName, topicNameProblem } from './topic-names.ts';

export interface AutoCreationLimits {
  readonly perRequest: number;
  readonly atOnce: number;
  /** The answer does not wait longer; the topic is there for the client's next request. */
  readonly waitMs: number;
}

export class TopicAutoCreation {
  private readonly services: Services;
  private readonly limits: AutoCreationLimits;
  private readonly underWay = new Map<string, Promise<void>>();

  constructor(services: Services, limits: AutoCreationLimits) {
    this.services = services;
    this.limits = limits;
  }

  /** Resolves when all are created, refused or given up waiting for. Look into the image afterwards. */
  async create(names: readonly string[]): Promise<void> {
    const started: Promise<void>[] = [];
    for (const name of names) {
      if (started.length >= this.limits.perRequest) break;
      const running = this.underWay.get(name);
      if (running !== undefined) started.push(running);
      else if (this.underWay.size < this.limits.atOnce && this.mayCreate(name)) started.push(this.start(name));
    }
    if (started.length === 0) return;
    const stopWaiting = new AbortController();
    await Promise.race([Promise.all(started), sleep(this.services.io.clock, this.limits.waitMs, stopWaiting.signal)]);
    stopWaiting.abort();
  }

  private mayCreate(name: string): boolean {
    if (topicNameProblem(name) !== undefined) return false;
    return collidingName(name, this.services.image.topics()) === undefined;
  }

  private start(name: string): Promise<void> {
    const { admin, config, io } = this.services;
    const creation = admin.createTopic({ name, partitionCount: config.numPartitions, config: {} }).then(
      (outcome) => {
        this.underWay.delete(name);
        if (outcome.kind === 'done') io.logger.info('topic created because a client asked for it', { topic: name, partitions: config.numPartitions });
      },
      (error: unknown) => {
        this.underWay.delete(name);
        io.logger.warn('topic could not be created automatically', { topic: name, error });
      },
    );
    this.underWay.set(name, creation);
    return creation;
  }
}
