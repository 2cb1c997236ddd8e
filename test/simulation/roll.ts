/**
 * Rolls between two builds under load, as a program of the simulation: each broker host runs the build that is wanted of it when it starts. The
 * older build is a broker that says it supports storage version 1 only, over a store in which every object of a newer format has a version
 * that its reader does not know: what it must never read, it cannot.
 */
import type { Io } from '../../io/io.ts';
import type { ObjectBody, ObjectStore, ReadOutcome } from '../../io/object/object-store.ts';
import { FormatError } from '../../std/byte-reader.ts';
import { crc32c } from '../../std/crc32c.ts';
import { decodeTrailer, formatVersionAt, trailerBytes } from '../../broker/log/format/trailer.ts';
import { StorageVersionRefused } from '../../broker/ownership/incarnation.ts';
import { finalizeStorage } from '../../broker/ownership/storage-upgrade.ts';
import { ErrorCodes } from '../../broker/protocol/errors.ts';
import { realBroker } from './real-broker.ts';
import type { BrokerProgram, RunningBroker } from './sim-broker.ts';

export type Build = 'old' | 'new';

interface Running {
  readonly build: Build;
  readonly io: Io;
  readonly broker: RunningBroker;
  /** The process exits: as by kill -9 when the broker was not closed before. */
  readonly exit: (why: string) => void;
}

/** How many objects are written between two steps: load has met every mixture of builds. */
const objectsOfRest = 20;
const unknownVersion = 255;
const oldStorage = 1;

export class Roll {
  /** Everything that happened, for who reads a failure. */
  readonly steps: string[] = [];
  /** Starts that were refused for what the cluster's storage version is. */
  readonly refusals: { readonly node: number; readonly build: Build; readonly text: string }[] = [];
  /** Objects of a format newer than version 1 that were written, and those that an older build came upon. */
  readonly newerWritten: string[] = [];
  readonly newerMet: string[] = [];
  readonly #wanted = new Map<number, Build>();
  readonly #running = new Map<number, Running>();
  readonly #waiting: { readonly met: () => boolean; readonly resolve: () => void }[] = [];
  #written = 0;

  /** To be called after every step of the simulation. */
  readonly step = (): void => {
    for (const waiting of this.#waiting.filter(({ met }) => met())) {
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
      waiting.resolve();
    }
  };

  readonly program: BrokerProgram = async (io, launch) => {
    const { nodeId } = launch;
    const build = this.#wanted.get(nodeId) ?? 'old';
    // A process that starts takes the place of one that has died.
    this.#running.delete(nodeId);
    const settings = build === 'old' ? { ...launch.settings, 'storage.version.max': String(oldStorage) } : launch.settings;
    let broker: RunningBroker;
    try {
      broker = await realBroker()({ ...io, objects: this.#storeOf(build, io.objects) }, { ...launch, settings });
    } catch (error) {
      if (error instanceof StorageVersionRefused) this.refusals.push({ node: nodeId, build, text: error.message });
      this.steps.push(`broker ${nodeId} cannot start as ${build} build: ${String(error)}`);
      throw error;
    }
    let exit: (why: string) => void = () => {};
    const exited = new Promise<string>((resolve) => {
      exit = resolve;
    });
    this.steps.push(`broker ${nodeId} serves as ${build} build`);
    this.#running.set(nodeId, { build, io, broker, exit });
    return { close: () => broker.close(), ended: Promise.race([broker.ended, exited]) };
  };

  /** The host goes over to this build; resolves when it serves. */
  async restart(node: number, build: Build, how: 'orderly' | 'kill'): Promise<void> {
    await this.#stop(node, build, how);
    await this.until(() => this.#running.get(node)?.build === build);
    await this.rest();
  }

  /** Starts the older build where it must not run, until it was refused some times; then the newer one. */
  async refused(node: number, times: number): Promise<void> {
    await this.#stop(node, 'old', 'orderly');
    const refusals = () => this.refusals.filter((refusal) => refusal.node === node).length;
    const before = refusals();
    await this.until(() => refusals() >= before + times || this.#running.has(node));
    this.#wanted.set(node, 'new');
    await this.until(() => this.#running.has(node));
  }

  /** Asks any broker until there is an answer that says yes or no: undefined when it is done, else why not. */
  async finalize(version: number): Promise<string | undefined> {
    for (;;) {
      await this.until(() => this.#running.size > 0);
      const [running] = this.#running.values() as Iterable<Running>;
      const { meta, clock } = (running as Running).io;
      let answer: Awaited<ReturnType<typeof finalizeStorage>> | undefined;
      void finalizeStorage(version, 'roll', { meta, clock, signal: new AbortController().signal }).then((outcome) => {
        answer = outcome;
      });
      // The process that asks may die.
      const written = this.#written;
      await this.until(() => answer !== undefined || this.#written > written + objectsOfRest);
      this.steps.push(`finalize ${version}: ${JSON.stringify(answer)}`);
      if (answer?.kind === 'done') return undefined;
      if (answer?.kind === 'error' && answer.error !== ErrorCodes.REQUEST_TIMED_OUT) return answer.message;
    }
  }

  /** The load goes on for a while. */
  rest(): Promise<void> {
    const enough = this.#written + objectsOfRest;
    return this.until(() => this.#written >= enough);
  }

  until(met: () => boolean): Promise<void> {
    return new Promise((resolve) => this.#waiting.push({ met, resolve }));
  }

  async #stop(node: number, next: Build, how: 'orderly' | 'kill'): Promise<void> {
    this.#wanted.set(node, next);
    await this.until(() => this.#running.has(node));
    const running = this.#running.get(node) as Running;
    let closed = how === 'kill';
    if (!closed) void running.broker.close().then(() => (closed = true));
    await this.until(() => closed || this.#running.get(node) !== running);
    this.steps.push(`broker ${node} ends (${how}), next is the ${next} build`);
    if (this.#running.get(node) === running) this.#running.delete(node);
    running.exit('rolled');
  }

  #storeOf(build: Build, objects: ObjectStore): ObjectStore {
    const asBuild = async (key: string, outcome: Promise<ReadOutcome>) => (build === 'new' ? outcome : this.#asOldBuild(key, await outcome));
    return {
      create: async (key, body, options) => {
        this.#written++;
        if (isNewer(lastBytes(body), body.sizeBytes)) this.newerWritten.push(key);
        return objects.create(key, body, options);
      },
      read: (key, range, options) => asBuild(key, objects.read(key, range, options)),
      readTail: (key, length, options) => asBuild(key, objects.readTail(key, length, options)),
      head: (key, options) => objects.head(key, options),
      delete: (keys, options) => objects.delete(keys, options),
      list: (prefix, after, options) => objects.list(prefix, after, options),
      close: () => objects.close(),
    };
  }

  /** What a newer trailer is to a program that was built before its version. */
  #asOldBuild(key: string, outcome: ReadOutcome): ReadOutcome {
    if (outcome.kind !== 'found' || !isNewer(outcome.bytes, outcome.sizeBytes)) return outcome;
    this.newerMet.push(key);
    const bytes = Buffer.from(outcome.bytes);
    const trailer = bytes.subarray(bytes.length - trailerBytes);
    trailer.writeUInt8(unknownVersion, 53);
    trailer.writeUInt32BE(crc32c(trailer.subarray(0, 56)), 56);
    return { ...outcome, bytes };
  }
}

/** Whether these last bytes of an object, if they are that, have a trailer that storage version 1 does not know. */
function isNewer(tail: Buffer, objectBytes: number): boolean {
  try {
    const { kind, version } = decodeTrailer(tail, objectBytes);
    return version > formatVersionAt(kind, oldStorage);
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}

function lastBytes({ chunks }: ObjectBody): Buffer {
  const last = chunks.at(-1) ?? new Uint8Array();
  return Buffer.from(last.buffer, last.byteOffset, last.byteLength);
}
