/** What one consumer saw, poll by poll: no holes, no going back (poll-skip, nonmonotonic-poll; C6). */
import type { CheckOptions } from './checker.ts';
import { type Evidence, lowerBound } from './evidence.ts';
import type { ListOffsetsOperation, PollOperation, SeekOperation } from './history.ts';

type Report = (name: string, detail: string) => void;

export function checkPolls(evidence: Evidence, options: CheckOptions, report: Report): void {
  for (const poll of evidence.polls) checkOnePoll(evidence, poll, report);
  for (const steps of byProcess(evidence)) {
    checkPositions(evidence, steps, report);
    checkWatermarks(evidence, steps, options, report);
  }
}

type Step = PollOperation | SeekOperation | ListOffsetsOperation;

function byProcess({ polls, seeks, listed }: Evidence): readonly (readonly Step[])[] {
  const groups = new Map<string, Step[]>();
  for (const step of [...polls, ...seeks, ...listed]) {
    const group = groups.get(step.process);
    if (group) group.push(step);
    else groups.set(step.process, [step]);
  }
  // A process does one thing after the other; a seek takes no time.
  for (const group of groups.values()) group.sort((a, b) => a.t0 - b.t0 || (a.t1 ?? 0) - (b.t1 ?? 0));
  return [...groups.values()];
}

function checkOnePoll({ readOffsets }: Evidence, poll: PollOperation, report: Report): void {
  for (let i = 1; i < poll.records.length; i++) {
    const before = (poll.records[i - 1] as readonly number[])[0] as number;
    const after = (poll.records[i] as readonly number[])[0] as number;
    if (after <= before) report('int-nonmonotonic-poll', `${poll.process} read ${after} after ${before} in one poll from ${poll.from}`);
    else {
      const skipped = firstRead(readOffsets, before + 1, after);
      if (skipped !== undefined) report('int-poll-skip', `${poll.process} read ${before} and ${after} in one poll; others read ${skipped} between`);
    }
  }
  const last = poll.records.reduce((highest, [offset]) => Math.max(highest, offset), -1);
  const end = poll.isolation === 'committed' ? poll.lastStableOffset : poll.highWatermark;
  if (last >= end)
    report('dirty-read', `${poll.process} read ${last}, with a ${poll.isolation === 'committed' ? 'last stable offset' : 'high watermark'} of ${end}`);
  if (poll.lastStableOffset > poll.highWatermark)
    report('watermarks', `${poll.process} was shown last stable offset ${poll.lastStableOffset} above high watermark ${poll.highWatermark}`);
  if (poll.logStart > poll.highWatermark)
    report('watermarks', `${poll.process} was shown log start ${poll.logStart} above high watermark ${poll.highWatermark}`);
}

function checkPositions({ readOffsets }: Evidence, steps: readonly Step[], report: Report): void {
  let position: number | undefined;
  for (const step of steps) {
    if (step.f === 'seek') position = step.to;
    if (step.f !== 'poll') continue;
    const first = step.records[0]?.[0];
    position ??= step.from;
    if (first !== undefined) {
      if (first < position) report('nonmonotonic-poll', `${step.process} was at ${position} and read ${first}`);
      else {
        const skipped = firstRead(readOffsets, position, first);
        if (skipped !== undefined) report('poll-skip', `${step.process} was at ${position} and read ${first}; others read ${skipped} between`);
      }
    }
    position = step.records.reduce((next, [offset]) => Math.max(next, offset + 1), position);
  }
}

/** High watermark, last stable offset and log start never go back for one client. */
function checkWatermarks({ deletedBefore }: Evidence, steps: readonly Step[], options: CheckOptions, report: Report): void {
  let highWatermark = 0;
  let lastStable = 0;
  let logStart = 0;
  const advance = (name: string, process: string, before: number, now: number): number => {
    if (now < before) report(`${name}-back`, `${process} was shown ${before}, then ${now}`);
    return Math.max(before, now);
  };
  for (const step of steps) {
    if (step.f === 'poll') {
      highWatermark = advance('high-watermark', step.process, highWatermark, step.highWatermark);
      lastStable = advance('last-stable-offset', step.process, lastStable, step.lastStableOffset);
      if (step.logStart >= 0) logStart = advance('log-start', step.process, logStart, step.logStart);
    } else if (step.f === 'listOffsets') {
      if (step.spec === 'latest') highWatermark = advance('high-watermark', step.process, highWatermark, step.offset);
      else logStart = advance('log-start', step.process, logStart, step.offset);
    }
  }
  const key = steps[0]?.key ?? '';
  if (logStart > deletedBefore && !options.mayExpire(key))
    report('log-start-unexplained', `the log begins at ${logStart}; nobody deleted beyond ${deletedBefore} and it keeps everything`);
}

function firstRead(readOffsets: readonly number[], from: number, to: number): number | undefined {
  const offset = readOffsets[lowerBound(readOffsets, from)];
  return offset !== undefined && offset < to ? offset : undefined;
}
