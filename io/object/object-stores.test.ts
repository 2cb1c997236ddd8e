/** The stores that need no server, against the one contract; small pages, so that listing has several. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../system-clock.ts';
import { systemRandom } from '../system-random.ts';
import { FolderObjectStore, type FolderObjectStoreOptions } from './folder-object-store.ts';
import { MemoryObjectStore } from './memory-object-store.ts';
import { objectStoreContract } from './object-store-contract.ts';

objectStoreContract('MemoryObjectStore', async () => ({ store: new MemoryObjectStore({ pageSize: 4 }) }));
objectStoreContract('FolderObjectStore', () => folderStore({ pageSize: 4 }));
objectStoreContract('FolderObjectStore through the page cache', () => folderStore({ pageSize: 700, directBuffers: 0 }));

async function folderStore(options: Partial<FolderObjectStoreOptions>) {
  const folder = await mkdtemp(join(tmpdir(), 'automq-objects-'));
  const store = await FolderObjectStore.open({ folder, clock: systemClock, random: systemRandom, ...options });
  return { store, dispose: () => rm(folder, { recursive: true }) };
}
