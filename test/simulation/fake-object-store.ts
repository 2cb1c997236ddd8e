/**
 * The bucket of the simulation: a linearizable map. Each call is applied at one instant between request and
 * answer, or fails as its fate says. A body is captured when it is applied (at the latest when the promise
 * settles) from the caller's own buffers and compared with what the call was given: an upload whose buffer
 * was recycled is a violation at once (F46).
 *
 * With `folder` it has the crash behaviour of files: what was created and not answered may be gone after a
 * power cut, a delete that was not answered may be undone (F67).
 */
import { setMaxListeners } from 'node:events';
import type {
  CallOptions,
  CreateOutcome,
  DeleteOutcome,
  HeadOutcome,
  ListOutcome,
  ObjectBody,
  ObjectStore,
  ReadOutcome,
  Unknown,
} from '../../io/object/object-store.ts';
import { checkKey, checkKeyPrefix, checkRange } from '../../io/object/object-key.ts';
import { drawFate, noObjectStoreFaults, type Fate, type ObjectStoreFaults, type StoreCondition } from './object-store-faults.ts';
import type { Scheduler } from './scheduler.ts';
import type { SimProcess } from './sim-process.ts';
import type { SimRandom } from './sim-random.ts';

export interface FakeObjectStoreOptions {
  readonly scheduler: Scheduler;
  readonly random: SimRandom;
  readonly minLatencyMs: number;
  readonly maxLatencyMs: number;
  readonly deadlineMs: number;
  readonly listPageSize: number;
  readonly onViolation: (name: string, detail: string) => void;
  /** Whether the network lets nothing pass between two hosts; the bucket's is `storeHost`. */
  readonly isCut?: (from: string, to: string) => boolean;
}

/** The bucket's name in the network. */
export const storeHost = 'object-store';

/** What the bucket was asked, seen by invariants and by crash points. */
export interface StoreWatcher {
  onIssued?(kind: 'create' | 'delete' | 'read', key: string, process: SimProcess): void;
  onCreated?(key: string, bytes: Buffer, process: SimProcess): void;
  onDeleted?(key: string, bytes: Buffer, process: SimProcess): void;
  /** Gone, and nobody had asked for it. */
  onLost?(key: string): void;
}

interface StoredObject {
  readonly bytes: Buffer;
  /** Survives a power cut: the answer was given, or somebody was told that it exists. */
  durable: boolean;
}

interface LateCreate {
  readonly key: string;
  readonly trigger: 'missing' | 'applied';
  readonly apply: () => void;
}

export class FakeObjectStore {
  faults: ObjectStoreFaults = noObjectStoreFaults;
  condition: StoreCondition = 'healthy';
  readonly objects = new Map<string, StoredObject>();
  /** How often each thing happened, for the coverage of a run. */
  readonly counts = new Map<string, number>();
  readonly options: FakeObjectStoreOptions;
  readonly #watchers: StoreWatcher[] = [];
  readonly #undoableDeletes = new Map<string, Buffer>();
  #late: LateCreate[] = [];

  constructor(options: FakeObjectStoreOptions) {
    this.options = options;
  }

  /** The store as `process` sees it; its answers die with it. */
  clientOf(process: SimProcess): ObjectStore {
    return new FakeObjectStoreClient(this, process);
  }

  watch(watcher: StoreWatcher): void {
    this.#watchers.push(watcher);
  }

  /** Flips one bit of what lies there (F36). */
  flipBit(key: string): void {
    const object = this.objects.get(key);
    if (object === undefined || object.bytes.byteLength === 0) return;
    const at = this.options.random.below(object.bytes.byteLength);
    object.bytes[at] = (object.bytes[at] as number) ^ (1 << this.options.random.below(8));
    this.note(`bit ${at} of ${object.bytes.byteLength} flipped in ${key}`);
  }

  /** Someone outside deleted it (F37). */
  vanish(key: string): void {
    if (!this.objects.delete(key)) return;
    this.note(`vanished ${key}`);
    for (const watcher of this.#watchers) watcher.onLost?.(key);
  }

  /** The machine under the folder lost power: what was not synced may be lost or come back (F67). */
  powerCut(): void {
    for (const [key, object] of [...this.objects]) {
      if (object.durable || this.options.random.chance(0.5)) continue;
      this.objects.delete(key);
      this.note(`power cut lost ${key}`);
      for (const watcher of this.#watchers) watcher.onLost?.(key);
    }
    for (const [key, bytes] of this.#undoableDeletes) {
      if (this.objects.has(key) || this.options.random.chance(0.5)) continue;
      this.objects.set(key, { bytes, durable: true });
      this.note(`power cut brought back ${key}`);
    }
    this.#undoableDeletes.clear();
    this.#late = [];
  }

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  note(text: string): void {
    this.options.scheduler.trace.line(this.options.scheduler.nowMs, `store ${text}`);
  }

  issued(kind: 'create' | 'delete' | 'read', key: string, process: SimProcess): void {
    for (const watcher of this.#watchers) watcher.onIssued?.(kind, key, process);
  }

  applyCreate(key: string, bytes: Buffer, process: SimProcess): CreateOutcome {
    const existing = this.objects.get(key);
    if (existing !== undefined) {
      existing.durable = true;
      this.count('create exists');
      return { kind: 'exists' };
    }
    this.objects.set(key, { bytes, durable: false });
    this.count('created');
    this.note(`created ${key} ${bytes.byteLength} B by ${process.name}`);
    for (const watcher of this.#watchers) watcher.onCreated?.(key, bytes, process);
    this.wakeLate(key, 'applied');
    return { kind: 'created' };
  }

  applyDelete(keys: readonly string[], process: SimProcess): void {
    for (const key of keys) {
      const object = this.objects.get(key);
      if (object === undefined) continue;
      this.objects.delete(key);
      this.#undoableDeletes.set(key, object.bytes);
      this.note(`deleted ${key} by ${process.name}`);
      for (const watcher of this.#watchers) watcher.onDeleted?.(key, object.bytes, process);
    }
  }

  answered(keys: readonly string[], kind: 'create' | 'delete'): void {
    for (const key of keys) {
      if (kind === 'delete') this.#undoableDeletes.delete(key);
      else {
        const object = this.objects.get(key);
        if (object !== undefined) object.durable = true;
      }
    }
  }

  /** Applies a create when `trigger` happens to its key, at the latest after `lateMs`. */
  applyLate(key: string, trigger: 'time' | 'missing' | 'applied', lateMs: number, apply: () => void): void {
    let applied = false;
    const once = () => {
      if (applied) return;
      applied = true;
      this.count(`late ${trigger}`);
      apply();
    };
    this.options.scheduler.schedule(lateMs, `store late ${key}`, once);
    if (trigger !== 'time') this.#late.push({ key, trigger, apply: once });
  }

  wakeLate(key: string, happened: 'missing' | 'applied'): void {
    if (this.#late.length === 0) return;
    const woken = this.#late.filter((late) => late.key === key && late.trigger === happened);
    if (woken.length === 0) return;
    this.#late = this.#late.filter((late) => !woken.includes(late));
    for (const late of woken) {
      this.options.scheduler.schedule(this.options.random.between(0, 5), `store woken ${key}`, late.apply);
    }
  }
}

class FakeObjectStoreClient implements ObjectStore {
  readonly #store: FakeObjectStore;
  readonly #process: SimProcess;
  readonly #random: SimRandom;
  readonly #scheduler: Scheduler;

  constructor(store: FakeObjectStore, process: SimProcess) {
    this.#store = store;
    this.#process = process;
    this.#random = store.options.random;
    this.#scheduler = store.options.scheduler;
  }

  create(key: string, body: ObjectBody, options?: CallOptions): Promise<CreateOutcome> {
    checkKey(key);
    const given = copyOf(body);
    if (given.byteLength !== body.sizeBytes) this.#violation('body-size', `${key}: ${given.byteLength} bytes, sizeBytes ${body.sizeBytes}`);
    this.#store.issued('create', key, this.#process);
    let captured: Buffer | undefined;
    const capture = () => {
      if (captured !== undefined) return captured;
      captured = copyOf(body);
      if (!captured.equals(given)) this.#violation('recycled-upload', `${key}: its bytes changed while the upload was under way (F46)`);
      return captured;
    };
    return this.#call<CreateOutcome>({
      label: `create ${key}`,
      key,
      write: true,
      options,
      apply: () => this.#store.applyCreate(key, capture(), this.#process),
      beforeSettle: capture,
      afterAnswer: () => this.#store.answered([key], 'create'),
    });
  }

  read(key: string, range?: { readonly start: number; readonly end: number }, options?: CallOptions): Promise<ReadOutcome> {
    if (range !== undefined) checkRange(range);
    return this.#read(key, (bytes) => (range === undefined ? bytes : bytes.subarray(range.start, range.end)), options);
  }

  readTail(key: string, length: number, options?: CallOptions): Promise<ReadOutcome> {
    return this.#read(key, (bytes) => bytes.subarray(Math.max(0, bytes.byteLength - length)), options);
  }

  head(key: string, options?: CallOptions): Promise<HeadOutcome> {
    checkKey(key);
    return this.#call<HeadOutcome>({
      label: `head ${key}`,
      key,
      write: false,
      options,
      apply: () => {
        const object = this.#store.objects.get(key);
        if (object !== undefined) {
          object.durable = true;
          return { kind: 'found', sizeBytes: object.bytes.byteLength };
        }
        this.#store.wakeLate(key, 'missing');
        return { kind: 'missing' };
      },
    });
  }

  delete(keys: readonly string[], options?: CallOptions): Promise<DeleteOutcome> {
    const asked = [...keys];
    for (const key of asked) checkKey(key);
    for (const key of asked) this.#store.issued('delete', key, this.#process);
    return this.#call<DeleteOutcome>({
      label: `delete ${asked.length} ${asked[0] ?? ''}`,
      key: asked[0] ?? '',
      write: true,
      options,
      apply: () => {
        const left = asked.length > 0 && this.#random.chance(this.#store.faults.partialDelete) ? asked.filter(() => this.#random.chance(0.5)) : [];
        this.#store.applyDelete(
          asked.filter((key) => !left.includes(key)),
          this.#process,
        );
        return left.length > 0 ? { kind: 'partial', left } : { kind: 'deleted' };
      },
      afterAnswer: () => this.#store.answered(asked, 'delete'),
    });
  }

  list(prefix: string, after?: string, options?: CallOptions): Promise<ListOutcome> {
    checkKeyPrefix(prefix);
    return this.#call<ListOutcome>({
      label: `list ${prefix}`,
      key: prefix,
      write: false,
      options,
      apply: () => this.#page(prefix, after),
    });
  }

  async close(): Promise<void> {}

  async #read(key: string, cut: (bytes: Buffer) => Buffer, options?: CallOptions): Promise<ReadOutcome> {
    checkKey(key);
    this.#store.issued('read', key, this.#process);
    const outcome = await this.#call<ReadOutcome>({
      label: `read ${key}`,
      key,
      write: false,
      options,
      apply: () => {
        const object = this.#store.objects.get(key);
        if (object === undefined) {
          this.#store.wakeLate(key, 'missing');
          return { kind: 'missing' };
        }
        object.durable = true;
        if (this.#random.chance(this.#store.faults.shortRead)) {
          this.#store.count('short read');
          return { kind: 'unknown', cause: 'the body is shorter than announced' };
        }
        return { kind: 'found', bytes: this.#damage(Buffer.from(cut(object.bytes))), sizeBytes: object.bytes.byteLength };
      },
    });
    const into = options?.into;
    if (outcome.kind !== 'found' || into === undefined || into.byteLength < outcome.bytes.byteLength) return outcome;
    outcome.bytes.copy(into);
    return { ...outcome, bytes: into.subarray(0, outcome.bytes.byteLength) };
  }

  #damage(bytes: Buffer): Buffer {
    const faults = this.#store.faults;
    if (bytes.byteLength > 0 && this.#random.chance(faults.bitFlip)) {
      this.#store.count('read bit flip');
      const at = this.#random.below(bytes.byteLength);
      bytes[at] = (bytes[at] as number) ^ (1 << this.#random.below(8));
    }
    return bytes;
  }

  #page(prefix: string, after: string | undefined): ListOutcome {
    const keys = [...this.#store.objects.keys()].filter((key) => key.startsWith(prefix)).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    let rest = after === undefined ? keys : keys.filter((key) => Buffer.compare(Buffer.from(key), Buffer.from(after)) > 0);
    if (this.#random.chance(this.#store.faults.listLies)) {
      this.#store.count('list lied');
      rest = rest.filter(() => this.#random.chance(0.7));
      rest = rest.flatMap((key) => (this.#random.chance(0.2) ? [key, key] : [key]));
      if (this.#random.chance(0.5)) rest.reverse();
    }
    const page = rest.slice(0, this.#store.options.listPageSize);
    const objects = page.map((key) => ({ key, sizeBytes: this.#store.objects.get(key)?.bytes.byteLength ?? 0 }));
    return { kind: 'page', objects, more: rest.length > page.length };
  }

  #call<T extends { readonly kind: string }>(call: {
    readonly label: string;
    readonly key: string;
    readonly write: boolean;
    readonly options: CallOptions | undefined;
    readonly apply: () => T;
    readonly beforeSettle?: () => void;
    readonly afterAnswer?: () => void;
  }): Promise<T | Unknown> {
    this.#scheduler.countCall();
    const store = this.#store;
    const process = this.#process;
    const deadlineMs = call.options?.deadlineMs ?? store.options.deadlineMs;
    return new Promise<T | Unknown>((resolve) => {
      if (process.dead) return;
      if (call.options?.signal?.aborted) return resolve({ kind: 'unknown', cause: 'aborted' });
      const fate = drawFate(this.#random, store.faults, store.condition, call.write);
      if (fate.kind !== 'normal') store.count(`${call.write ? 'write' : 'read'} ${fate.kind}`);
      let settled = false;
      let applied = false;
      const settle = (outcome: T | Unknown) => {
        if (settled) return;
        settled = true;
        deadline.cancel();
        call.options?.signal?.removeEventListener('abort', onAbort);
        call.beforeSettle?.();
        resolve(outcome);
      };
      const answer = (delayMs: number, outcome: T | Unknown) =>
        process.schedule(delayMs, `${call.label} ${outcome.kind}`, () => {
          if (!settled && (outcome.kind === 'created' || outcome.kind === 'deleted')) call.afterAnswer?.();
          settle(outcome);
        });
      const onAbort = () => void answer(0, { kind: 'unknown', cause: 'aborted' });
      const applyNow = () => {
        if (applied) return undefined;
        applied = true;
        return call.apply();
      };
      const lateAfter = (trigger: 'time' | 'missing' | 'applied', lateMs: number) => {
        call.beforeSettle?.();
        store.applyLate(call.key, trigger, lateMs, applyNow);
      };

      const deadline = answer(deadlineMs, { kind: 'unknown', cause: 'deadline' });
      if (call.options?.signal) {
        // Many calls share a life's signal; ten of them at once are no leak.
        setMaxListeners(0, call.options.signal);
        call.options.signal.addEventListener('abort', onAbort, { once: true });
      }

      const toStoreMs = this.#latencyMs() + (fate.kind === 'slow' ? fate.extraMs * this.#random.float() : 0);
      this.#scheduler.schedule(toStoreMs, `${process.name} ${call.label} ${fate.kind}`, () => {
        // The request of a process that was killed meanwhile: never sent, on time, or wandering about.
        if (process.dead && call.write) {
          const luck = this.#random.below(3);
          if (luck === 0) return;
          if (luck === 1) return lateAfter(this.#random.pick(['time', 'missing', 'applied'] as const), this.#random.logBetween(5, 60_000));
        }
        this.#meet(this.#passing(fate), call.label, applyNow, answer, lateAfter);
      });
    });
  }

  #meet<T extends { readonly kind: string }>(
    fate: Fate,
    label: string,
    apply: () => T | undefined,
    answer: (delayMs: number, outcome: T | Unknown) => void,
    lateAfter: (trigger: 'time' | 'missing' | 'applied', lateMs: number) => void,
  ): void {
    const backMs = this.#latencyMs();
    switch (fate.kind) {
      case 'normal':
      case 'slow': {
        const outcome = apply();
        if (outcome !== undefined) answer(backMs + (fate.kind === 'slow' ? fate.extraMs * this.#random.float() : 0), outcome);
        return;
      }
      case 'fail':
        this.#note(label, fate.cause);
        if (fate.quick) answer(backMs, { kind: 'unknown', cause: fate.cause });
        return;
      case 'refused':
        this.#note(label, fate.cause);
        answer(backMs, { kind: 'refused', cause: fate.cause } as unknown as T);
        return;
      case 'lost':
        this.#note(label, 'answer lost');
        apply();
        if (fate.quick) answer(backMs, { kind: 'unknown', cause: 'ECONNRESET' });
        return;
      case 'late':
        this.#note(label, `will be late (${fate.trigger}, ${Math.round(fate.lateMs)} ms)`);
        lateAfter(fate.trigger, fate.lateMs);
        if (fate.quick) answer(backMs, { kind: 'unknown', cause: 'ECONNRESET' });
        return;
    }
  }

  /** A cut on the way there or back (F60, F62): not applied, or applied and nobody is told. */
  #passing(fate: Fate): Fate {
    const { isCut } = this.#store.options;
    if (isCut === undefined) return fate;
    if (isCut(this.#process.host, storeHost)) return { kind: 'fail', cause: 'cut off', quick: false };
    if (!isCut(storeHost, this.#process.host)) return fate;
    if (fate.kind === 'fail' || fate.kind === 'late') return { ...fate, quick: false };
    return fate.kind === 'refused' ? { kind: 'fail', cause: fate.cause, quick: false } : { kind: 'lost', quick: false };
  }

  #latencyMs(): number {
    return this.#random.between(this.#store.options.minLatencyMs, this.#store.options.maxLatencyMs);
  }

  #note(label: string, what: string): void {
    this.#store.note(`${this.#process.name} ${label}: ${what}`);
  }

  #violation(name: string, detail: string): void {
    this.#store.options.onViolation(name, detail);
  }
}

function copyOf(body: ObjectBody): Buffer {
  return Buffer.concat(body.chunks);
}
