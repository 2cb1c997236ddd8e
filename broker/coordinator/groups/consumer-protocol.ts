/**
 * The one thing that a coordinator reads of what consumers tell each other (ConsumerProtocolSubscription): the subscribed
 * topics, which come first in every version. The rest is theirs.
 */

/** Undefined when the bytes are not a subscription. */
export function subscribedTopicsOf(subscription: Buffer): readonly string[] | undefined {
  const topics: string[] = [];
  if (subscription.length < 6) return undefined;
  const count = subscription.readInt32BE(2);
  let position = 6;
  for (let left = count; left > 0; left -= 1) {
    if (position + 2 > subscription.length) return undefined;
    const length = subscription.readInt16BE(position);
    position += 2;
    if (length < 0 || position + length > subscription.length) return undefined;
    topics.push(subscription.toString('utf8', position, position + length));
    position += length;
  }
  return count < 0 ? undefined : topics;
}
