/** A topic id as 16 stored bytes. */
import { FormatError } from '../../../std/byte-reader.ts';
import type { TopicId } from '../../../cluster/identifiers.ts';

export function topicIdToBytes(topicId: TopicId): Buffer {
  return Buffer.from(topicId, 'base64url');
}

export function topicIdFromBytes(bytes: Buffer): TopicId {
  if (bytes.length !== 16) throw new FormatError(`topic id of ${bytes.length} bytes`);
  return bytes.toString('base64url') as TopicId;
}
