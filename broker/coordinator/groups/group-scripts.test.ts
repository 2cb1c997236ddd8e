/**
 * Scripts of whole group lives: commands and what the group answered, in scripts/*.txt. `UPDATE_SCRIPTS=1` rewrites the
 * transcripts; the diff is the review.
 *
 * Commands: `limits key=value…` · `join NAME [v=9] [id=…] [instance=…] [protocols=a,b] [topics=…] [session=ms] [rebalance=ms]` · `sync NAME [NAME:text…]` (the
 * leader's assignments) · `beat|leave|commit NAME` · `wait ms` (stops at every deadline on the way) · `log [ERROR]` (settles the oldest append) ·
 * `load` (a coordinator that takes over and has read the log) · `unload ERROR` · `show`.
 * NAME is a client; what it learnt (member id, generation) and its timeouts it uses from then on. `gen=`, `id=` and `instance=` override that.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { projectRoot } from '../../../test/tidy/project-files.ts';
import { type ErrorCode, ErrorCodes, type ErrorName } from '../../protocol/errors.ts';
import { createGroup, type Group, type GroupEffect, type GroupLimits, type GroupSnapshot, nextDeadlineMs } from './group.ts';
import { restoreGroup } from './group-snapshot.ts';
import { type GroupEvent, step } from './group-step.ts';

const folder = join(projectRoot, 'broker/coordinator/groups/scripts');

for (const file of readdirSync(folder).sort()) {
  test(`the script ${file} gives its transcript`, () => {
    const path = join(folder, file);
    const expected = readFileSync(path, 'utf8');
    const actual = play(expected);
    if (process.env['UPDATE_SCRIPTS'] === '1') writeFileSync(path, actual);
    else assert.equal(actual, expected);
  });
}

interface Client {
  memberId: string;
  generationId: number;
  instance: string | null;
  lives: number;
  sessionMs: number;
  rebalanceMs: number;
}

type Options = Readonly<Record<string, string>>;

function play(text: string): string {
  const script = new Script();
  const lines: string[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('    ')) continue;
    lines.push(line);
    if (line === '' || line.startsWith('#')) continue;
    lines.push(...script.run(line).map((output) => `    ${output}`));
  }
  return lines.join('\n');
}

class Script {
  readonly #clients = new Map<string, Client>();
  readonly #waiters: string[] = [];
  readonly #appends: Extract<GroupEffect, { kind: 'append' }>[] = [];
  #group: Group = createGroup('g', 0);
  #stored: GroupSnapshot | undefined;
  #nowMs = 0;
  #limits: GroupLimits = { initialRebalanceDelayMs: 0, maxMembers: 100, maxPendingMembers: 100, maxMetadataBytes: 10_000, newMemberJoinTimeoutMs: 300_000 };
  #output: string[] = [];

  run(line: string): readonly string[] {
    this.#output = [];
    const [command = '', ...words] = line.split(' ');
    const name = words.find((word) => !word.includes('=')) ?? '';
    const options = Object.fromEntries(words.filter((word) => word.includes('=')).map((word) => word.split('=') as [string, string]));
    this.#command(command, name, words, options);
    return this.#output;
  }

  #command(command: string, name: string, words: readonly string[], options: Options): void {
    switch (command) {
      case 'limits':
        this.#limits = { ...this.#limits, ...Object.fromEntries(Object.entries(options).map(([key, value]) => [key, Number(value)])) };
        return;
      case 'join':
        return this.#join(name, options);
      case 'sync':
        return this.#sync(name, words, options);
      case 'beat':
        return this.#say(`${name}: ${errorName(this.#step({ kind: 'heartbeat', ...this.#identity(name, options) })[0])}`);
      case 'commit':
        return this.#say(`${name}: commit ${errorName(this.#step({ kind: 'commit', ...this.#identity(name, options) })[0])}`);
      case 'leave':
        return this.#leave(words, options);
      case 'wait':
        return this.#wait(Number(name));
      case 'log':
        return this.#settle(name);
      case 'load':
        this.#group = this.#stored ? restoreGroup('g', this.#stored) : createGroup('g', 0);
        this.#step({ kind: 'loaded' });
        return this.#show();
      case 'unload':
        this.#step({ kind: 'unload', error: ErrorCodes[name as ErrorName] });
        return;
      case 'show':
        return this.#show();
      default:
        assert.fail(`unknown command ${command}`);
    }
  }

  #join(name: string, options: Options): void {
    const client = this.#client(name);
    if (options['instance'] !== undefined) client.instance = options['instance'];
    client.sessionMs = Number(options['session'] ?? client.sessionMs);
    client.rebalanceMs = Number(options['rebalance'] ?? client.rebalanceMs);
    const memberId = options['id'] ?? client.memberId;
    if (memberId === '') client.lives += 1;
    const version = Number(options['v'] ?? 9);
    const topics = options['topics']?.split(',') ?? ['t'];
    this.#step({
      kind: 'join',
      waiter: this.#waiter(name),
      memberId,
      groupInstanceId: client.instance,
      newMemberId: `${name}-${client.lives}`,
      clientId: name,
      clientHost: '/127.0.0.1',
      sessionTimeoutMs: client.sessionMs,
      rebalanceTimeoutMs: client.rebalanceMs,
      protocolType: options['type'] ?? 'consumer',
      protocols: (options['protocols'] ?? 'range').split(',').map((protocol) => ({ name: protocol, metadata: subscription(topics) })),
      reason: 'script',
      requiresKnownMemberId: version >= 4,
      supportsSkippingAssignment: version >= 9,
    });
  }

  #sync(name: string, words: readonly string[], options: Options): void {
    const pairs = words.filter((word) => word.includes(':')).map((word) => word.split(':') as [string, string]);
    const assignments = new Map(pairs.map(([to, text]) => [this.#client(to).memberId, Buffer.from(text)]));
    this.#step({
      kind: 'sync',
      waiter: this.#waiter(name),
      ...this.#identity(name, options),
      protocolType: options['type'] ?? null,
      protocolName: options['protocol'] ?? null,
      assignments,
    });
  }

  #leave(words: readonly string[], options: Options): void {
    const members = words
      .filter((word) => !word.includes('='))
      .map((name) => ({ memberId: options['id'] ?? this.#client(name).memberId, groupInstanceId: this.#client(name).instance, reason: 'script' }));
    const errors = this.#step({ kind: 'leave', members });
    this.#say(`left: ${errors.map(errorName).join(', ')}`);
  }

  #wait(ms: number): void {
    const endMs = this.#nowMs + ms;
    for (;;) {
      const next = nextDeadlineMs(this.#group);
      if (next === undefined || next > endMs) break;
      this.#nowMs = Math.max(this.#nowMs, next);
      this.#step({ kind: 'tick' });
    }
    this.#nowMs = endMs;
  }

  #settle(error: string): void {
    const append = this.#appends.shift();
    if (!append) return this.#say('nothing is on its way into the log');
    if (error === '') this.#stored = append.value;
    this.#step({ kind: 'appended', resume: append.resume, error: error === '' ? ErrorCodes.NONE : ErrorCodes[error as ErrorName] });
  }

  #show(): void {
    const group = this.#group;
    this.#say(`${group.phase}, generation ${group.generationId}, protocol ${group.protocolName ?? 'none'}, leader ${group.leaderId ?? 'none'}`);
    for (const member of group.members.values())
      this.#say(`${member.memberId}: "${member.assignment.toString()}"${member.joinWaiter === undefined ? '' : ', joins'}`);
    if (group.pendingMembers.size > 0) this.#say(`pending: ${[...group.pendingMembers].join(' ')}`);
  }

  #step(event: GroupEvent): readonly ErrorCode[] {
    const { effects, errors } = step(this.#group, event, { monotonicMs: this.#nowMs, wallMs: this.#nowMs }, this.#limits);
    for (const effect of effects) this.#apply(effect);
    return errors;
  }

  #apply(effect: GroupEffect): void {
    switch (effect.kind) {
      case 'phase':
        return this.#say(`[${this.#nowMs}] ${effect.from} → ${effect.to}, generation ${effect.generationId}: ${effect.reason}`);
      case 'append':
        this.#appends.push(effect);
        return this.#say(`log ← ${effect.resume.kind}, generation ${effect.value.generationId}: ${effect.value.members.map((m) => m.memberId).join(' ')}`);
      case 'join-answer': {
        const { answer } = effect;
        const name = this.#waiters[effect.waiter] ?? '';
        const client = this.#client(name);
        if (answer.error === ErrorCodes.UNKNOWN_MEMBER_ID) client.memberId = '';
        if (answer.error === ErrorCodes.NONE || answer.error === ErrorCodes.MEMBER_ID_REQUIRED) client.memberId = answer.memberId;
        if (answer.error === ErrorCodes.NONE) client.generationId = answer.generationId;
        const members = answer.members.map((member) => member.memberId).join(' ');
        const joined = `joined as ${answer.memberId}, generation ${answer.generationId}, ${answer.protocolName}, leader ${answer.leader}${members && ` of ${members}`}`;
        return this.#say(
          `${name}: ${answer.error === ErrorCodes.NONE ? joined + (answer.skipAssignment ? ', skips assigning' : '') : `${errorName(answer.error)} "${answer.memberId}"`}`,
        );
      }
      case 'sync-answer': {
        const { answer } = effect;
        return this.#say(
          `${this.#waiters[effect.waiter]}: ${answer.error === ErrorCodes.NONE ? `owns "${answer.assignment.toString()}"` : errorName(answer.error)}`,
        );
      }
    }
  }

  #identity(name: string, options: Options): { memberId: string; groupInstanceId: string | null; generationId: number } {
    const client = this.#client(name);
    return {
      memberId: options['id'] ?? client.memberId,
      groupInstanceId: options['instance'] ?? client.instance,
      generationId: Number(options['gen'] ?? client.generationId),
    };
  }

  #client(name: string): Client {
    const client = this.#clients.get(name) ?? { memberId: '', generationId: -1, instance: null, lives: 0, sessionMs: 10_000, rebalanceMs: 60_000 };
    this.#clients.set(name, client);
    return client;
  }

  #waiter(name: string): number {
    return this.#waiters.push(name) - 1;
  }

  #say(line: string): void {
    this.#output.push(line);
  }
}

function errorName(error: ErrorCode | undefined): string {
  return Object.entries(ErrorCodes).find(([, code]) => code === error)?.[0] ?? 'nothing';
}

function subscription(topics: readonly string[]): Buffer {
  const parts = topics.map((topic) => Buffer.concat([Buffer.from([0, topic.length]), Buffer.from(topic)]));
  return Buffer.concat([Buffer.from([0, 0, 0, 0, 0, topics.length]), ...parts]);
}
