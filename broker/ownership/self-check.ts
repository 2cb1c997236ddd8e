/**
 * Whether this incarnation may still answer (design §4, "Stale readers"). Writes need no such check, the seal stops
 * them; but a broker that was asleep, or that lost the metadata store, could go on telling an old log's end. So:
 *
 * - a process that finds that it has been asleep (its tick came more than a second late) answers nothing until the
 *   object store said that no seal stands at its lowest number that does not count yet;
 * - while the metadata store does not answer, the object store is asked once a second; when that does not answer either,
 *   nothing is answered after two seconds;
 * - a node record of a later epoch, or a claim on this incarnation, ends it.
 */
import type { Clock, Timer } from '../../io/clock.ts';
import type { Logger } from '../../io/logger.ts';
import type { MetaStore } from '../../io/meta/meta-store.ts';
import type { ObjectStore } from '../../io/object/object-store.ts';
import { FormatError } from '../../std/byte-reader.ts';
import type { Incarnation } from '../../cluster/identifiers.ts';
import { keys, nodeRecord, parseRecord } from '../../cluster/meta-records.ts';
import { walKey } from '../log/format/object-keys.ts';
import { decodeTrailer, trailerBytes } from '../log/format/trailer.ts';

export interface SelfCheckOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly meta: MetaStore;
  readonly objects: ObjectStore;
  readonly self: Incarnation;
  /** The lowest number of the WAL that does not count yet. */
  readonly nextToCount: () => number;
  /** Somebody else has taken over, or a seal stands: this incarnation is over. */
  readonly onSuperseded: (reason: string, byOwnNode: boolean) => void;
  /** Whether requests may be answered changed. */
  readonly onMayAnswer: (mayAnswer: boolean) => void;
}

const tickMs = 250;
const asleepMs = 1_000;
const metaIntervalMs = 1_000;
const probeIntervalMs = 1_000;
const trustMs = 2_000;

export class SelfCheck {
  readonly #options: SelfCheckOptions;
  #timer: Timer | undefined;
  #tickedAtMs: number;
  #metaAskedAtMs: number;
  /** When either store last said that we are still who we are. */
  #certainAtMs: number;
  #metaCertainAtMs: number;
  #probedAtMs = Number.NEGATIVE_INFINITY;
  #asking = false;
  #probing = false;
  #mayAnswer = true;
  #asleepAtMs: number | undefined;
  #over = false;

  constructor(options: SelfCheckOptions) {
    this.#options = options;
    const now = options.clock.monotonicMs();
    this.#tickedAtMs = now;
    this.#metaAskedAtMs = now;
    this.#certainAtMs = now;
    this.#metaCertainAtMs = now;
    this.#schedule();
  }

  close(): void {
    this.#over = true;
    this.#timer?.cancel();
  }

  #schedule(): void {
    this.#timer = this.#options.clock.setTimer(tickMs, () => {
      if (this.#over) return;
      this.#tick();
      this.#schedule();
    });
  }

  #tick(): void {
    const now = this.#options.clock.monotonicMs();
    const lateMs = now - this.#tickedAtMs - tickMs;
    this.#tickedAtMs = now;
    if (lateMs > asleepMs) {
      this.#options.logger.warn('this process was asleep: it answers nothing until it knows that it was not replaced', { lateMs: Math.round(lateMs) });
      this.#asleepAtMs = now;
      this.#probedAtMs = Number.NEGATIVE_INFINITY;
    }
    if (!this.#asking && now - this.#metaAskedAtMs >= metaIntervalMs) void this.#askMeta(now);
    const metaIsSilent = now - this.#metaCertainAtMs > trustMs;
    if (!this.#probing && (this.#asleepAtMs !== undefined || metaIsSilent) && now - this.#probedAtMs >= probeIntervalMs) void this.#probe(now);
    this.#setMayAnswer(this.#asleepAtMs === undefined && now - this.#certainAtMs <= trustMs + metaIntervalMs);
  }

  #setMayAnswer(mayAnswer: boolean): void {
    if (mayAnswer === this.#mayAnswer) return;
    this.#mayAnswer = mayAnswer;
    if (!mayAnswer && this.#asleepAtMs === undefined) this.#options.logger.error('neither the metadata store nor the object store answers: requests wait');
    this.#options.onMayAnswer(mayAnswer);
  }

  /** A plain read may be stale; it can only tell us too late, never wrongly, that we are over. */
  async #askMeta(now: number): Promise<void> {
    const { meta, self } = this.#options;
    this.#asking = true;
    this.#metaAskedAtMs = now;
    try {
      const entry = await meta.get(keys.node(self.node));
      this.#metaCertainAtMs = now;
      this.#certainAtMs = Math.max(this.#certainAtMs, now);
      const record = entry && parseRecord(nodeRecord, entry.value);
      if (record && record.epoch > self.epoch) this.#end(`node ${self.node} has begun another life, epoch ${record.epoch}`, true);
    } catch {
      // Silence is what the tick looks at.
    } finally {
      this.#asking = false;
    }
  }

  async #probe(now: number): Promise<void> {
    const { objects, self, nextToCount } = this.#options;
    this.#probing = true;
    this.#probedAtMs = now;
    try {
      // Objects of our own whose answers are still out may stand before the seal.
      for (let number = nextToCount(); ; number++) {
        const key = walKey(self, number);
        const tail = await objects.readTail(key, trailerBytes);
        if (tail.kind === 'unknown' || tail.kind === 'refused') return;
        if (tail.kind === 'missing') break;
        if (decodeTrailer(tail.bytes, tail.sizeBytes).kind === 'seal') return this.#end(`a seal stands at ${key}`, false);
      }
      this.#certainAtMs = Math.max(this.#certainAtMs, now);
      if (this.#asleepAtMs !== undefined && this.#asleepAtMs <= now) {
        this.#asleepAtMs = undefined;
        this.#tick();
      }
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      this.#end(`what stands at the end of the own log cannot be read: ${error.message}`, false);
    } finally {
      this.#probing = false;
    }
  }

  #end(reason: string, byOwnNode: boolean): void {
    if (this.#over) return;
    this.close();
    this.#options.onMayAnswer(false);
    this.#options.onSuperseded(reason, byOwnNode);
  }
}
