/** In which order sends got their offsets, and what later observers must have seen (C3, C5, C7; nonmonotonic-send). */
import type { CheckOptions } from './checker.ts';
import { type Evidence, lowerBound } from './evidence.ts';
import type { SendOperation } from './history.ts';

type Report = (name: string, detail: string) => void;

export function checkOrder(evidence: Evidence, options: CheckOptions, report: Report): void {
  checkSendOrder(evidence, report);
  checkRealTime(evidence, report);
  checkAckThenRead(evidence, options, report);
  checkRetries(evidence, report);
  for (const send of evidence.sends)
    if (send.sequenceLost)
      report('producer-state-lost', `${send.process} was refused with ${send.error} though all before it was acknowledged (values ${send.values.join(' ')})`);
}

/** One producer's batches lie in the order of sending. A plain producer that retries may overtake itself, as in Kafka. */
function checkSendOrder({ sends, offsetsOf }: Evidence, report: Report): void {
  const last = new Map<string, { readonly send: SendOperation; readonly offset: number }>();
  const inOrder = [...sends].sort((a, b) => (a.process < b.process ? -1 : a.process > b.process ? 1 : a.order - b.order));
  for (const send of inOrder) {
    if (!send.idempotent && send.attempts > 1) continue;
    const offsets = offsetsOf.get(send.values[0] as number);
    if (offsets?.size !== 1) continue;
    const [offset] = offsets as Set<number>;
    const before = last.get(send.process);
    if (before !== undefined && before.offset > (offset as number)) {
      report('nonmonotonic-send', `${send.process} sent ${before.send.values[0]} before ${send.values[0]}; they lie at ${before.offset} and ${offset}`);
    }
    // What a plain producer gave up may still lie in the buffers of a lost connection, and land behind what it sent on the next.
    if (send.idempotent || send.type === 'ok') last.set(send.process, { send, offset: offset as number });
  }
}

interface Ack {
  readonly atMs: number;
  readonly lastOffset: number;
  readonly send: SendOperation;
}

/** Acknowledgements by time, with the highest offset acknowledged up to then. */
class AckLine {
  readonly #times: number[] = [];
  readonly #highest: Ack[] = [];

  constructor(sends: readonly SendOperation[]) {
    const acks = sends.flatMap((send) =>
      send.type === 'ok' && send.baseOffset !== null && send.t1 !== null ? [{ atMs: send.t1, lastOffset: send.baseOffset + send.values.length - 1, send }] : [],
    );
    acks.sort((a, b) => a.atMs - b.atMs);
    for (const ack of acks) {
      const before = this.#highest.at(-1);
      this.#times.push(ack.atMs);
      this.#highest.push(before !== undefined && before.lastOffset > ack.lastOffset ? before : ack);
    }
  }

  /** The highest of those that were known before `timeMs`. */
  highestBefore(timeMs: number): Ack | undefined {
    return this.#highest[lowerBound(this.#times, timeMs) - 1];
  }
}

/** A was acknowledged before B began, whoever sent them: A lies first (C3). */
function checkRealTime({ sends, offsetsOf }: Evidence, report: Report): void {
  const acks = new AckLine(sends);
  for (const send of sends) {
    const offsets = offsetsOf.get(send.values[0] as number);
    if (offsets === undefined) continue;
    const offset = Math.min(...offsets);
    const earlier = acks.highestBefore(send.t0);
    if (earlier !== undefined && earlier.lastOffset > offset) {
      report(
        'realtime-order',
        `${earlier.send.values.at(-1)} was acknowledged at ${earlier.lastOffset} (${earlier.atMs} ms); ${send.values[0]}, begun at ${send.t0} ms, lies at ${offset}`,
      );
    }
  }
}

/** Whoever asks after an acknowledgement is told of it (C5). What the final reading misses is `unseen`. */
function checkAckThenRead({ sends, polls, listed }: Evidence, options: CheckOptions, report: Report): void {
  const acks = new AckLine(sends);
  for (const poll of polls) {
    if (poll.final) continue;
    const ack = acks.highestBefore(poll.t0 - options.staleBoundMs);
    if (ack !== undefined && poll.highWatermark <= ack.lastOffset) {
      report(
        'ack-then-read',
        `${ack.send.values.at(-1)} was acknowledged at ${ack.lastOffset} (${ack.atMs} ms); ${poll.process}, asking at ${poll.t0} ms, was shown a high watermark of ${poll.highWatermark}`,
      );
    }
  }
  for (const list of listed) {
    const ack = list.spec === 'latest' ? acks.highestBefore(list.t0 - options.staleBoundMs) : undefined;
    if (ack !== undefined && list.offset <= ack.lastOffset) {
      report(
        'ack-then-read',
        `${ack.send.values.at(-1)} was acknowledged at ${ack.lastOffset} (${ack.atMs} ms); ${list.process}, asking at ${list.t0} ms, was told that the log ends at ${list.offset}`,
      );
    }
  }
}

/** The same batch again is answered with its first offset (C7). */
function checkRetries({ resends, sendOf }: Evidence, report: Report): void {
  for (const resend of resends) {
    const send = sendOf.get(resend.values[0] as number);
    if (send === undefined || send.baseOffset === null || resend.baseOffset === null) continue;
    if (send.baseOffset !== resend.baseOffset)
      report('retry-offset', `${resend.values[0]} of ${send.process} was acknowledged at ${send.baseOffset}, its retry at ${resend.baseOffset}`);
  }
}
