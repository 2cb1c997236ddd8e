/** What the log holds: nothing invented, doubled, torn or lost (faults.md §6: duplicate, lost-write, unseen, G1a; C4). */
import type { CheckOptions } from './checker.ts';
import { type Evidence, lowerBound } from './evidence.ts';
import type { PollOperation, SendOperation } from './history.ts';

type Report = (name: string, detail: string) => void;

export function checkContent(evidence: Evidence, options: CheckOptions, report: Report): void {
  checkOrigins(evidence, report);
  checkDuplicates(evidence, report);
  checkBatches(evidence, report);
  checkLosses(evidence, options, report);
  checkGaps(evidence, report);
  checkEpochOrder(evidence, report);
}

function checkOrigins({ readValues, sendOf }: Evidence, report: Report): void {
  for (const value of readValues) {
    const send = sendOf.get(value);
    if (send === undefined) report('phantom', `${value} was read and never sent`);
    else if (send.type === 'fail') report('G1a', `${value} was read, its send by ${send.process} had failed with ${send.error}`);
  }
}

function checkDuplicates({ offsetsOf, sendOf }: Evidence, report: Report): void {
  for (const [value, offsets] of offsetsOf) {
    const send = sendOf.get(value);
    if (send === undefined) continue;
    const allowed = send.idempotent ? 1 : send.attempts;
    if (offsets.size > allowed)
      report(
        'duplicate',
        `${value} of ${send.process} lies at ${[...offsets].join(', ')}, sent ${send.attempts} times${send.idempotent ? ', idempotent' : ''}`,
      );
  }
}

/** The values of one batch stand side by side. */
function checkBatches({ sends, offsetsOf }: Evidence, report: Report): void {
  for (const send of sends) {
    const first = offsetsOf.get(send.values[0] as number);
    if (first === undefined || first.size !== 1) continue;
    const [base] = first as Set<number>;
    send.values.forEach((value, i) => {
      const offsets = offsetsOf.get(value);
      if (offsets?.size === 1 && !offsets.has((base as number) + i))
        report('torn-batch', `${value} of ${send.process} lies at ${[...offsets][0]}, its batch begins at ${base}`);
    });
  }
}

function checkLosses(evidence: Evidence, options: CheckOptions, report: Report): void {
  const covered = coveredRanges(evidence.polls);
  const finalEnd = finalEndOf(evidence.polls);
  const logStart = Math.max(0, ...evidence.polls.map((poll) => poll.logStart), ...evidence.listed.map((list) => (list.spec === 'earliest' ? list.offset : 0)));
  for (const send of evidence.sends) {
    if (send.type === 'fail') continue;
    const partlySeen = send.values.some((value) => evidence.readValues.has(value));
    send.values.forEach((value, i) => {
      if (evidence.readValues.has(value)) return;
      const offset = offsetOf(evidence, send, value, i);
      if (offset === undefined || (send.type !== 'ok' && !partlySeen)) return;
      if (isCovered(covered, offset)) report('lost-write', `${value} of ${send.process} at ${offset} (${send.type}): others around it were read`);
      else if (send.type === 'ok' && finalEnd !== undefined && offset >= logStart && !options.damaged)
        report('unseen', `${value} of ${send.process}, acknowledged at ${offset}: the log ends at ${finalEnd}`);
    });
  }
}

function offsetOf(evidence: Evidence, send: SendOperation, value: number, index: number): number | undefined {
  const known = evidence.offsetsOf.get(value);
  if (known !== undefined) return [...known][0];
  const sibling = send.values.findIndex((other) => evidence.offsetsOf.get(other)?.size === 1);
  if (sibling < 0) return undefined;
  const [at] = evidence.offsetsOf.get(send.values[sibling] as number) as Set<number>;
  return (at as number) - sibling + index;
}

/** Where the log ended when everything had been read after healing; undefined when reading never got there. */
export function finalEndOf(polls: readonly PollOperation[]): number | undefined {
  let end: number | undefined;
  for (const poll of polls) if (poll.final && poll.records.length === 0 && poll.from >= poll.lastStableOffset) end = Math.max(end ?? 0, poll.from);
  return end;
}

/** Disjoint, ascending [first, last] ranges that somebody's polls went over. */
function coveredRanges(polls: readonly PollOperation[]): { readonly starts: readonly number[]; readonly ends: readonly number[] } {
  const ranges = polls
    .filter((poll) => poll.next > poll.from)
    .map((poll) => [poll.from, poll.next - 1] as const)
    .sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const starts: number[] = [];
  const ends: number[] = [];
  for (const [start, end] of ranges) {
    const lastEnd = ends.at(-1);
    if (lastEnd !== undefined && start <= lastEnd + 1) ends[ends.length - 1] = Math.max(lastEnd, end);
    else {
      starts.push(start);
      ends.push(end);
    }
  }
  return { starts, ends };
}

function isCovered(ranges: { readonly starts: readonly number[]; readonly ends: readonly number[] }, offset: number): boolean {
  const at = lowerBound(ranges.starts, offset + 1) - 1;
  return at >= 0 && offset <= (ranges.ends[at] as number);
}

/** Offsets are gapless (C4) as far as somebody read. Offsets that an acknowledgement proves are `lost-write`'s. */
function checkGaps({ readOffsets, valueAt, polls }: Evidence, report: Report): void {
  for (let i = 1; i < readOffsets.length; i++) {
    const before = readOffsets[i - 1] as number;
    const after = readOffsets[i] as number;
    if (after === before + 1) continue;
    const across = polls.some(
      (poll) => poll.from <= before + 1 && poll.records.some(([offset]) => offset === after) && poll.records.some(([offset]) => offset === before),
    );
    const hole = firstUnproved(before + 1, after, valueAt);
    if (across && hole !== undefined) report('offset-gap', `nothing at ${hole}, between ${before} and ${after}`);
  }
}

function firstUnproved(from: number, to: number, valueAt: ReadonlyMap<number, number>): number | undefined {
  for (let offset = from; offset < to; offset++) if (!valueAt.has(offset)) return offset;
  return undefined;
}

/** Ranges of leader epochs are disjoint and in order (C6). */
function checkEpochOrder({ readOffsets, epochAt }: Evidence, report: Report): void {
  let highest = -1;
  for (const offset of readOffsets) {
    const epoch = epochAt.get(offset) as number;
    if (epoch < highest) {
      report('leader-epoch', `offset ${offset} has leader epoch ${epoch}, an earlier one ${highest}`);
      return;
    }
    highest = Math.max(highest, epoch);
  }
}
