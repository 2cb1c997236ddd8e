/** A client that does nothing wrong while others do: it writes and reads, one request at a time, and keeps the longest wait. */
import { buildBatch } from '../../broker/log/batch/build-batch.ts';
import { ErrorCodes } from '../../broker/protocol/errors.ts';
import { ApiKeys } from '../../broker/protocol/messages.gen.ts';
import { errorName } from './observation.ts';
import { request } from './stage.ts';
import { type Address, WireClient } from './wire-client.ts';

const batch = buildBatch({ records: [{ key: null, value: Buffer.alloc(1_000, 7), timestampMs: 1_700_000_000_000 }] });

export class Bystander {
  served = 0;
  longestMs = 0;
  readonly #client: WireClient;
  readonly #topic: string;
  #done = false;
  readonly #running: Promise<void>;

  static async begin(address: Address, topic: string): Promise<Bystander> {
    return new Bystander(await WireClient.connect(address), topic);
  }

  private constructor(client: WireClient, topic: string) {
    this.#client = client;
    this.#topic = topic;
    this.#running = this.#run();
    this.#running.catch(() => {}); // `end` tells.
  }

  /** Rejects when a request was refused or not answered. */
  async end(): Promise<void> {
    this.#done = true;
    try {
      await this.#running;
    } finally {
      this.#client.destroy();
    }
  }

  async #run(): Promise<void> {
    while (!this.#done) {
      const since = performance.now();
      const offset = await this.#produce();
      await this.#fetch(offset);
      this.longestMs = Math.max(this.longestMs, performance.now() - since);
      this.served += 1;
    }
  }

  async #produce(): Promise<number> {
    const topicData = [{ name: this.#topic, partitionData: [{ index: 0, records: batch }] }];
    const { responses } = await request(this.#client, ApiKeys.Produce, 9, { acks: -1, timeoutMs: 30_000, topicData });
    const answer = responses[0]!.partitionResponses[0]!;
    if (answer.errorCode !== ErrorCodes.NONE) throw new Error(`a bystander's Produce: ${errorName(answer.errorCode)}`);
    return answer.baseOffset;
  }

  async #fetch(fetchOffset: number): Promise<void> {
    const topics = [{ topic: this.#topic, partitions: [{ partition: 0, fetchOffset, partitionMaxBytes: 1 << 20 }] }];
    const { responses } = await request(this.#client, ApiKeys.Fetch, 11, { maxWaitMs: 500, minBytes: 1, topics, forgottenTopicsData: [] });
    const answer = responses[0]!.partitions[0]!;
    if (answer.errorCode !== ErrorCodes.NONE || (answer.records?.length ?? 0) < 1_000) {
      throw new Error(`a bystander's Fetch at ${fetchOffset}: ${errorName(answer.errorCode)}, ${answer.records?.length ?? 0} bytes`);
    }
  }
}
