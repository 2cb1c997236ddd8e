/** Opens the object store that a location names. The AWS SDK is loaded only for a bucket: it takes a tenth of a second and 20 MB. */
import type { Clock } from '../clock.ts';
import type { Random } from '../random.ts';
import { FolderObjectStore } from './folder-object-store.ts';
import { MemoryObjectStore } from './memory-object-store.ts';
import type { ObjectStore } from './object-store.ts';
import { prefixedObjectStore } from './prefixed-object-store.ts';
import { parseStoreLocation, type StoreLocation, StoreSettingError } from './store-location.ts';

export interface OpenObjectStoreOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Sockets to a bucket. */
  readonly maxSockets?: number;
}

/** Rejects with a `StoreSettingError` when the setting is wrong or the folder cannot be used; whether a bucket is there shows at the first call. */
export async function openObjectStore(setting: string | StoreLocation, options: OpenObjectStoreOptions): Promise<ObjectStore> {
  const location = typeof setting === 'string' ? parseStoreLocation(setting) : setting;
  if (location.kind === 'memory') return new MemoryObjectStore();
  if (location.kind === 'folder') return openFolder(location.folder, options);
  const { S3ObjectStore } = await import('./s3-object-store.ts');
  const { prefix, ...bucket } = location;
  return prefixedObjectStore(new S3ObjectStore({ ...bucket, clock: options.clock, ...(options.maxSockets ? { maxSockets: options.maxSockets } : {}) }), prefix);
}

async function openFolder(folder: string, { clock, random }: OpenObjectStoreOptions): Promise<ObjectStore> {
  try {
    return await FolderObjectStore.open({ folder, clock, random });
  } catch (error) {
    throw new StoreSettingError(`the folder ${folder} cannot be an object store: ${(error as Error).message}`, { cause: error });
  }
}
