/** Which partition of `__consumer_offsets` a group lives in: Kafka's rule, since tools and other brokers compute it, too. */

/** `abs(groupId.hashCode()) % partitionCount` of Java, where the absolute value of the least integer counts as 0. */
export function partitionOfGroup(groupId: string, partitionCount: number): number {
  const hash = javaHashCode(groupId);
  return (hash === -0x8000_0000 ? 0 : Math.abs(hash)) % partitionCount;
}

function javaHashCode(text: string): number {
  let hash = 0;
  for (let i = 0; i < text.length; i += 1) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0;
  return hash;
}
