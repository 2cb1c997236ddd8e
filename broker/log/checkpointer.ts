/**
 * Builds checkpoints (design §5): partitions are spread over pages; a checkpoint carries the pages that changed and
 * names the objects of the others, so that it costs what changed and not what exists.
 */
import { crc32c } from '../../std/crc32c.ts';
import { ByteWriter } from '../../std/byte-writer.ts';
import { invariant } from '../../std/invariant.ts';
import { encodePageTable, type PageReference } from './format/checkpoint.ts';
import type { ObjectKey } from './format/object-keys.ts';
import { encodeStates } from './format/partition-state.ts';
import type { ObjectCatalog } from './object-catalog.ts';
import type { Partition } from './partition.ts';
import type { WalItem } from './wal/wal-writer.ts';

const partitionsPerPage = 32;
/** Pages that are written anew although nothing changed in them, because the rest of their object is garbage. */
const maxRescuedPages = 16;

interface Page {
  readonly number: number;
  readonly partitions: Set<Partition>;
  stored: PageReference | undefined;
}

export class Checkpointer {
  readonly #catalog: ObjectCatalog;
  readonly #pages = new Map<number, Page>();
  readonly #pageOf = new Map<Partition, Page>();
  readonly #dirty = new Set<Page>();
  /** Of the checkpoints that pages lie in: bytes of pages, then and now. */
  readonly #contentOf = new Map<ObjectKey, { readonly writtenBytes: number; liveBytes: number }>();
  #filling: Page | undefined;
  #nextPage = 0;
  /** The newest checkpoint that was placed; it is what the pointer will name. */
  #newest: ObjectKey | undefined;

  constructor(catalog: ObjectCatalog) {
    this.#catalog = catalog;
  }

  /** Whether a checkpoint would say something new. */
  get dirty(): boolean {
    return this.#dirty.size > 0;
  }

  add(partition: Partition): void {
    invariant(!this.#pageOf.has(partition), 'partition has a page already', { topic: partition.topic, partition: partition.partition });
    let page = this.#filling;
    if (!page || page.partitions.size >= partitionsPerPage) {
      page = { number: this.#nextPage++, partitions: new Set(), stored: undefined };
      this.#pages.set(page.number, page);
      this.#filling = page;
    }
    page.partitions.add(partition);
    this.#pageOf.set(partition, page);
    this.#dirty.add(page);
  }

  remove(partition: Partition): void {
    const page = this.#pageOf.get(partition);
    if (!page) return;
    this.#pageOf.delete(partition);
    page.partitions.delete(partition);
    this.#dirty.add(page);
  }

  markDirty(partition: Partition): void {
    const page = this.#pageOf.get(partition);
    if (page) this.#dirty.add(page);
  }

  /** The checkpoint as it has to be stored under `key`. All that was appended must have its place. */
  build(key: ObjectKey): WalItem {
    const content: Buffer[] = [];
    let position = 0;
    this.#rescuePages();
    for (const page of this.#dirty) {
      this.#letGo(page);
      if (page.partitions.size === 0) {
        this.#pages.delete(page.number);
        if (this.#filling === page) this.#filling = undefined;
        continue;
      }
      const writer = new ByteWriter(4096);
      encodeStates(
        writer,
        [...page.partitions].map((partition) => partition.snapshot()),
      );
      const bytes = writer.finish();
      page.stored = { page: page.number, object: key, position, length: bytes.length, crc: crc32c(bytes) };
      this.#catalog.retain(key, bytes.length);
      content.push(bytes);
      position += bytes.length;
    }
    this.#dirty.clear();
    if (position > 0) this.#contentOf.set(key, { writtenBytes: position, liveBytes: position });
    this.#catalog.retain(key, 0);
    if (this.#newest) this.#catalog.release(this.#newest, 0);
    this.#newest = key;
    const references = [...this.#pages.values()].flatMap((page) => (page.stored ? [page.stored] : []));
    return { kind: 'checkpoint', content, contentBytes: position, footer: encodePageTable(references) };
  }

  #letGo(page: Page): void {
    if (!page.stored) return;
    const { object, length } = page.stored;
    this.#catalog.release(object, length);
    page.stored = undefined;
    const content = this.#contentOf.get(object);
    if (!content) return;
    content.liveBytes -= length;
    if (content.liveBytes === 0) this.#contentOf.delete(object);
  }

  /** An old checkpoint is not kept for a few pages that never change: below a quarter they move into this one. */
  #rescuePages(): void {
    let rescued = 0;
    for (const page of this.#pages.values()) {
      const content = page.stored && this.#contentOf.get(page.stored.object);
      if (!content || content.liveBytes * 4 >= content.writtenBytes || this.#dirty.has(page)) continue;
      this.#dirty.add(page);
      if (++rescued >= maxRescuedPages) return;
    }
  }
}
