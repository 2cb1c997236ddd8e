/**
 * What a group's coordinator promised (C10, C11): an acknowledged commit, or one that followed it, is what every later
 * OffsetFetch answers; commits of generations that were over are refused; one member has a partition in a generation.
 */
import type { CheckOptions } from './checker.ts';
import type { AssignedOperation, CommitOperation, CommittedOperation, Operation } from './history.ts';

type Report = (name: string, detail: string) => void;

/** `operations`: of one partition. */
export function checkGroups(operations: readonly Operation[], options: CheckOptions, report: Report): void {
  const groups = new Map<string, GroupEvidence>();
  const of = (group: string): GroupEvidence => {
    let evidence = groups.get(group);
    if (evidence === undefined) groups.set(group, (evidence = { commits: [], fetched: [], assigned: [] }));
    return evidence;
  };
  for (const operation of operations) {
    if (operation.f === 'commit' && operation.type !== 'fail') of(operation.group).commits.push(operation);
    else if (operation.f === 'committed' && operation.type === 'ok') of(operation.group).fetched.push(operation);
    else if (operation.f === 'assigned' && operation.type === 'ok') of(operation.group).assigned.push(operation);
  }
  for (const evidence of groups.values()) {
    checkFetched(evidence, options, report);
    checkGenerations(evidence, report);
  }
}

interface GroupEvidence {
  readonly commits: CommitOperation[];
  readonly fetched: CommittedOperation[];
  readonly assigned: AssignedOperation[];
}

const never = Number.POSITIVE_INFINITY;

/** When a commit was surely over: an unknown one may still be in somebody's buffer. */
function endOf(commit: CommitOperation): number {
  return commit.type === 'ok' ? (commit.t1 ?? never) : never;
}

function checkFetched({ commits, fetched }: GroupEvidence, options: CheckOptions, report: Report): void {
  const byText = new Map(commits.map((commit) => [commit.text, commit]));
  for (const fetch of fetched) {
    // The latest commit to begin among those that were acknowledged before the question: what ended before it began is overwritten.
    const bound = fetch.t0 - options.staleBoundMs;
    const latest = commits.reduce<CommitOperation | undefined>(
      (best, commit) => (endOf(commit) < bound && commit.t0 > (best?.t0 ?? -1) ? commit : best),
      undefined,
    );
    if (fetch.offset < 0) {
      if (latest !== undefined)
        report(
          'lost-commit',
          `${fetch.process} of ${fetch.group}, asking at ${fetch.t0} ms, was told of no commit; ${latest.offset} was acknowledged at ${latest.t1} ms`,
        );
      continue;
    }
    const commit = byText.get(fetch.text);
    if (commit === undefined || commit.offset !== fetch.offset || commit.t0 > (fetch.t1 ?? never))
      report('phantom-commit', `${fetch.process} of ${fetch.group} was told of commit ${fetch.offset} "${fetch.text}": nobody had made it`);
    else if (latest !== undefined && endOf(commit) < latest.t0)
      report(
        'lost-commit',
        `${fetch.process} of ${fetch.group}, asking at ${fetch.t0} ms, was told of ${fetch.offset} ("${fetch.text}"); ${latest.offset} ("${latest.text}") followed it and was acknowledged at ${latest.t1} ms`,
      );
  }
}

function checkGenerations({ commits, assigned }: GroupEvidence, report: Report): void {
  const members = new Map<number, string>();
  for (const { generation, member, process } of assigned) {
    const other = members.get(generation);
    if (other !== undefined && other !== member) report('shared-partition', `generation ${generation}: ${other} has it, and ${member} (${process})`);
    members.set(generation, member);
  }
  for (const commit of commits) {
    if (commit.type !== 'ok') continue;
    const newer = assigned.find(({ generation, t1 }) => generation > commit.generation && (t1 ?? never) < commit.t0);
    if (newer !== undefined)
      report(
        'old-generation',
        `${commit.process} committed ${commit.offset} in generation ${commit.generation} at ${commit.t0} ms; generation ${newer.generation} stood since ${newer.t1} ms`,
      );
  }
}
