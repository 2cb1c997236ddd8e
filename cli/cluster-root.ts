/** The root object of a bucket, `cluster`: whose data it is. Whoever comes first creates it. */
import { rootObjectKey } from '../broker/log/format/object-keys.ts';
import type { ObjectStore } from '../io/object/object-store.ts';
import type { Random } from '../io/random.ts';

export async function readClusterId(objects: ObjectStore, random: Random): Promise<string> {
  const found = await objects.read(rootObjectKey);
  if (found.kind === 'found') return (JSON.parse(found.bytes.toString('utf8')) as { clusterId: string }).clusterId;
  if (found.kind !== 'missing') throw new Error(`the object store does not answer: ${found.cause}`);
  const chunk = Buffer.from(JSON.stringify({ formatVersion: 1, clusterId: random.bytes(16).toString('base64url') }));
  const created = await objects.create(rootObjectKey, { chunks: [chunk], sizeBytes: chunk.length });
  if (created.kind === 'created' || created.kind === 'exists') return readClusterId(objects, random);
  throw new Error(`the object store does not take the root object: ${created.cause}`);
}
