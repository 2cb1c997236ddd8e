/**
 * One watch over etcd's own stream. etcd3's watcher resumes at revisions it saw in headers and so skips events
 * when it reconnects in the middle of a backlog; this one resumes behind the last event it delivered, whatever
 * ended the stream. It gives up with a gap only when the store cannot serve what is missing: compacted, another
 * cluster, or a revision that the store does not have (restored from an old copy).
 *
 * A stream that says nothing is asked for progress; one that stays silent is replaced.
 */
import type { IWatchResponse } from 'etcd3';
import { type Clock, sleep, type Timer } from '../clock.ts';
import type { Logger } from '../logger.ts';
import { fullJitterMs, type Random } from '../random.ts';
import type { EtcdEndpoints } from './etcd-endpoints.ts';
import { describeEtcdError } from './etcd-errors.ts';
import { prefixRange } from './etcd-ranges.ts';
import { openWatchStream, type WatchStream } from './etcd-streams.ts';
import type { MetaEvent, MetaWatch, WatchHandler } from './meta-store.ts';
import { WatchCursor } from './watch-cursor.ts';

export interface EtcdWatchOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** A stream that said nothing for so long, although it was asked, is replaced. */
  readonly silenceMs: number;
  readonly onEnd: (watch: MetaWatch) => void;
}

const backoff = { baseBackoffMs: 100, maxBackoffMs: 5_000 };
/** Looks at a revision that is older than what we have seen, before we believe it: a read may be stale. */
const staleLooks = 3;

export class EtcdWatch implements MetaWatch {
  readonly #endpoints: EtcdEndpoints;
  readonly #prefix: string;
  readonly #handler: WatchHandler;
  readonly #options: EtcdWatchOptions;
  readonly #cursor: WatchCursor;
  readonly #closing = new AbortController();
  #cluster: string | undefined;
  #failures = 0;

  constructor(endpoints: EtcdEndpoints, prefix: string, after: number, handler: WatchHandler, options: EtcdWatchOptions) {
    this.#endpoints = endpoints;
    this.#prefix = prefix;
    this.#handler = handler;
    this.#options = options;
    this.#cursor = new WatchCursor(after);
    void this.#run();
  }

  /** Nothing is told from here on; a call that is under way ends by its own deadline. */
  async close(): Promise<void> {
    this.#closing.abort();
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    // The handler is told nothing before `watch` has returned.
    await Promise.resolve();
    while (!signal.aborted) {
      try {
        if (!(await this.#canResume()) || (await this.#stream()) === 'gap') {
          if (!signal.aborted) this.#handler.onGap();
          break;
        }
      } catch (error) {
        if (signal.aborted) break;
        this.#failures++;
        this.#options.logger.warn('the metadata watch was interrupted, resuming', {
          prefix: this.#prefix,
          after: this.#cursor.at,
          failures: this.#failures,
          cause: describeEtcdError(error),
        });
        await this.#backOff(this.#failures);
      }
    }
    this.#options.onEnd(this);
  }

  #backOff(attempt: number): Promise<void> {
    return sleep(this.#options.clock, fullJitterMs(this.#options.random, attempt, backoff), this.#closing.signal);
  }

  /** A read goes before every stream: it renews an expired token, which streams cannot, and shows a store that is not the one we knew. */
  async #canResume(): Promise<boolean> {
    for (let look = 1; ; look++) {
      const { key, range_end } = prefixRange(this.#prefix);
      const { header } = await this.#endpoints.read((client, options) => client.kv.range({ key, range_end, limit: 1, keys_only: true }, options));
      this.#cluster ??= header.cluster_id;
      if (header.cluster_id !== this.#cluster) return false;
      if (Number(header.revision) >= this.#cursor.at) return true;
      if (look === staleLooks) return false;
      await this.#backOff(1);
    }
  }

  /** Serves one stream until it must not go on; rejects when another one may. */
  async #stream(): Promise<'gap' | 'closed'> {
    const { client, failed } = this.#endpoints.forStream();
    const stream = await openWatchStream(client);
    this.#cursor.restart();
    try {
      return await this.#serve(stream);
    } catch (error) {
      failed();
      throw error;
    } finally {
      stream.cancel();
    }
  }

  #serve(stream: WatchStream): Promise<'gap' | 'closed'> {
    const { clock, silenceMs } = this.#options;
    const { signal } = this.#closing;
    // At most this long, twice, until it is asked; and as long once more for the answer.
    const patienceMs = silenceMs / 3;
    let heardMs = clock.monotonicMs();
    let askedMs: number | undefined;
    let timer: Timer | undefined;
    let onAbort = () => {};
    const serving = new Promise<'gap' | 'closed'>((resolve, reject) => {
      let isOver = false;
      const over = (settle: () => void) => {
        isOver = true;
        settle();
      };
      const listen = () => {
        // Deferred: when this process itself was asleep, the answer may lie in the socket, unread.
        timer = clock.setTimer(patienceMs, () => clock.defer(judge));
      };
      const judge = () => {
        if (isOver) return;
        const silentMs = clock.monotonicMs() - (askedMs ?? heardMs);
        if (silentMs >= patienceMs && askedMs !== undefined) return over(() => reject(new Error('the watch stream is silent')));
        if (silentMs >= patienceMs) {
          askedMs = clock.monotonicMs();
          stream.write({ progress_request: {} });
        }
        listen();
      };
      onAbort = () => over(() => resolve('closed'));
      if (signal.aborted) return onAbort();
      signal.addEventListener('abort', onAbort, { once: true });
      stream.on('error', (error) => over(() => reject(error)));
      stream.on('end', () => over(() => reject(new Error('the server ended the watch stream'))));
      stream.on('data', (response) => {
        if (isOver) return;
        heardMs = clock.monotonicMs();
        askedMs = undefined;
        if (Number(response.compact_revision) > 0) return over(() => resolve('gap'));
        if (response.canceled) return over(() => reject(new Error(`the server cancelled the watch: ${response.cancel_reason}`)));
        this.#failures = 0;
        this.#deliver(response);
      });
      const { key, range_end } = prefixRange(this.#prefix);
      // From `at` itself, although it was delivered: some versions lose a deletion at the very revision of a compaction, so one compacted there must be a gap.
      stream.write({ create_request: { key, range_end, start_revision: Math.max(1, this.#cursor.at), progress_notify: true, fragment: true } });
      listen();
    });
    return serving.finally(() => {
      timer?.cancel();
      signal.removeEventListener('abort', onAbort);
    });
  }

  #deliver(response: IWatchResponse): void {
    const events = this.#cursor.accept(response.events.map(toMetaEvent), response.fragment);
    if (events.length > 0) this.#handler.onEvents(events, this.#cursor.at);
  }
}

function toMetaEvent({ type, kv }: IWatchResponse['events'][number]): MetaEvent {
  const key = kv.key.toString();
  const modRevision = Number(kv.mod_revision);
  return type === 'Delete' ? { kind: 'delete', key, modRevision } : { kind: 'put', key, value: kv.value.toString(), modRevision };
}
