/** All keys below a prefix of another store: a cluster that shares its bucket. */
import { checkKey } from './object-key.ts';
import type { ObjectStore } from './object-store.ts';

/** `prefix` without slashes at its ends; the empty one is the store itself. */
export function prefixedObjectStore(store: ObjectStore, prefix: string): ObjectStore {
  if (prefix === '') return store;
  checkKey(prefix);
  const begin = `${prefix}/`;
  return {
    create: (key, body, options) => store.create(begin + key, body, options),
    read: (key, range, options) => store.read(begin + key, range, options),
    readTail: (key, length, options) => store.readTail(begin + key, length, options),
    head: (key, options) => store.head(begin + key, options),
    delete: async (keys, options) => {
      const outcome = await store.delete(
        keys.map((key) => begin + key),
        options,
      );
      return outcome.kind === 'partial' ? { kind: 'partial', left: outcome.left.map((key) => key.slice(begin.length)) } : outcome;
    },
    list: async (below, after, options) => {
      const outcome = await store.list(begin + below, after ? begin + after : undefined, options);
      if (outcome.kind !== 'page') return outcome;
      return { ...outcome, objects: outcome.objects.map(({ key, sizeBytes }) => ({ key: key.slice(begin.length), sizeBytes })) };
    },
    close: () => store.close(),
  };
}
