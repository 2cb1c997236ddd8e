/** A librdkafka producer (confluent-kafka) in a process of its own; what it says becomes history. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pythonCommand } from '../clients/python-client.ts';
import { projectFolder } from '../lab/cache.ts';
import type { ChaosRecord } from './wall-recorder.ts';

export interface LibrdkafkaOptions {
  readonly record: ChaosRecord;
  readonly brokers: readonly string[];
  readonly topic: string;
  readonly topicId: string;
  readonly partitions: number;
  readonly gapMs: number;
}

type Said =
  | { readonly value: number; readonly partition: number; readonly order: number; readonly t0: number; readonly t1: number; readonly offset: number }
  | { readonly value: number; readonly partition: number; readonly order: number; readonly t0: number; readonly t1: number; readonly failed: string }
  | { readonly error: string; readonly fatal: boolean }
  | { readonly left: number };

/** Above those of all other clients. */
const firstValue = 1_000_000_000;
const timeoutMs = 100_000;

export class LibrdkafkaProducer {
  /** Fatal errors, and records that it gave up. */
  readonly refusals: string[] = [];
  acknowledged = 0;
  readonly #options: LibrdkafkaOptions;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;

  constructor(options: LibrdkafkaOptions) {
    this.#options = options;
    const { env, command } = pythonCommand();
    const script = join(projectFolder, 'test', 'chaos', 'librdkafka_producer.py');
    const child = spawn(command, [script], { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, ...env } });
    this.#child = child;
    child.stdin.on('error', () => {});
    const { topic, partitions, gapMs, brokers } = options;
    child.stdin.write(`${JSON.stringify({ topic, partitions, gapMs, bootstrap: brokers.join(','), firstValue, timeoutMs })}\n`);
    const lines = createInterface({ input: child.stdout });
    lines.on('line', (line) => this.#take(JSON.parse(line) as Said));
    child.once('error', (error) => options.record.violation('client-failed', `librdkafka: ${error.message}`));
    child.once('exit', (code) => {
      if (code !== 0 && !child.killed) options.record.violation('client-failed', `the librdkafka producer ended with ${code}`);
    });
    this.#ended = new Promise((resolve) => lines.once('close', resolve));
  }

  /** Resolves when every record has its answer. */
  async stop(): Promise<void> {
    this.#child.stdin?.end();
    await this.#ended;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #take(said: Said): void {
    const { record, topicId } = this.#options;
    if ('left' in said) {
      if (said.left > 0) record.violation('client-failed', `librdkafka has no answer to ${said.left} records`);
      return;
    }
    if ('error' in said) {
      if (said.fatal) this.refusals.push(`fatal: ${said.error}`);
      return;
    }
    const operation = {
      f: 'send',
      process: 'librdkafka',
      key: `${topicId}/${said.partition}`,
      t0: record.timeOf(said.t0),
      t1: record.timeOf(said.t1),
      values: [said.value],
      idempotent: true,
      order: said.order,
      attempts: 1,
    } as const;
    if ('failed' in said) {
      this.refusals.push(`${(operation.t1 / 1_000).toFixed(1)} s, ${topicId}/${said.partition}: ${said.failed}`);
      record.recorder.record({ ...operation, type: 'info', baseOffset: null, error: said.failed });
      return;
    }
    this.acknowledged++;
    record.recorder.record({ ...operation, type: 'ok', baseOffset: said.offset < 0 ? null : said.offset });
  }
}
