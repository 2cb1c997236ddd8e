/**
 * Which stored objects this broker's indexes, checkpoint pages and pointers reach, by counting references.
 * An object that nothing reaches any more is *released*: it may be deleted once a checkpoint that was placed after
 * the release is proven (design §4, §6); `collection.ts` sees to that.
 */
import { invariant } from '../../std/invariant.ts';
import type { ObjectKey } from './format/object-keys.ts';

export interface CatalogEntry {
  references: number;
  /** Bytes of the object that references cover. */
  liveBytes: number;
  /** Bytes of the object besides footer and trailer when they are known, else 0. */
  contentBytes: number;
}

export class ObjectCatalog {
  readonly #entries = new Map<ObjectKey, CatalogEntry>();
  #released = new Set<ObjectKey>();
  /** Grows with `#released`. */
  #releases = 0;
  /** Nothing was there to take then. */
  #looked: { readonly releases: number; readonly mode: string } | undefined;

  get size(): number {
    return this.#entries.size;
  }

  /** A new object of ours; without references when it is placed it counts as released right away. */
  add(key: ObjectKey, contentBytes: number): void {
    const entry = this.#entries.get(key);
    if (entry) entry.contentBytes = contentBytes;
    else this.#addReleased(key);
  }

  retain(key: ObjectKey, bytes: number): void {
    const entry = this.#entries.get(key);
    if (entry) {
      entry.references++;
      entry.liveBytes += bytes;
      return;
    }
    this.#released.delete(key);
    this.#entries.set(key, { references: 1, liveBytes: bytes, contentBytes: 0 });
  }

  release(key: ObjectKey, bytes: number): void {
    const entry = this.#entries.get(key);
    invariant(entry && entry.references > 0, 'released an object that nothing holds', { key });
    entry.references--;
    entry.liveBytes -= bytes;
    if (entry.references > 0) return;
    this.#entries.delete(key);
    this.#addReleased(key);
  }

  #addReleased(key: ObjectKey): void {
    this.#released.add(key);
    this.#releases++;
  }

  has(key: ObjectKey): boolean {
    return this.#entries.has(key);
  }

  get(key: ObjectKey): Readonly<CatalogEntry> | undefined {
    return this.#entries.get(key);
  }

  keys(): IterableIterator<ObjectKey> {
    return this.#entries.keys();
  }

  /** Whether there is something to take. What is kept may be much: it is looked through again only when something was released or `mode`, on which fates depend, is another. */
  hasReleased(mode: string, fate: (key: ObjectKey) => Fate): boolean {
    if (this.#looked?.releases === this.#releases && this.#looked.mode === mode) return false;
    for (const key of this.#released) if (fate(key) === 'take') return true;
    this.#looked = { releases: this.#releases, mode };
    return false;
  }

  /** Takes what was released since the last call and may be deleted, and forgets what is for others to delete. */
  takeReleased(fate: (key: ObjectKey) => Fate): ObjectKey[] {
    const taken: ObjectKey[] = [];
    const left = new Set<ObjectKey>();
    for (const key of this.#released) {
      const decided = fate(key);
      if (decided === 'take') taken.push(key);
      else if (decided === 'keep') left.add(key);
    }
    this.#released = left;
    return taken;
  }
}

/** What becomes of a released object: deleted, looked at again later, or left to whoever collects its writer's objects. */
export type Fate = 'take' | 'keep' | 'leave';
