/** All messages of Apache Kafka's protocol that a broker, its clients or its coordinators' topics speak, each parsed at first use. */
import { adminMessages } from './admin.ts';
import { coordinatorRecordsMessages } from './coordinator-records.ts';
import { embeddedMessages } from './embedded.ts';
import { type MessageSchema, parseMessage, splitMessages } from './grammar.ts';
import { groupRecordsMessages } from './group-records.ts';
import { groupsMessages } from './groups.ts';
import { produceFetchMessages } from './produce-fetch.ts';
import { securityMessages } from './security.ts';
import { shareGroupsMessages } from './share-groups.ts';
import { streamsGroupsMessages } from './streams-groups.ts';
import { transactionsMessages } from './transactions.ts';

const texts: ReadonlyMap<string, string> = new Map(
  [
    produceFetchMessages,
    groupsMessages,
    transactionsMessages,
    adminMessages,
    securityMessages,
    shareGroupsMessages,
    streamsGroupsMessages,
    groupRecordsMessages,
    coordinatorRecordsMessages,
    embeddedMessages,
  ].flatMap((text) => [...splitMessages(text)]),
);
const parsed = new Map<string, MessageSchema>();

export const messageNames: readonly string[] = [...texts.keys()];

/** The schema of `name` (`ProduceRequest`, `OffsetCommitKey`); undefined when there is no such message. */
export function schemaOf(name: string): MessageSchema | undefined {
  const known = parsed.get(name);
  if (known) return known;
  const text = texts.get(name);
  if (text === undefined) return undefined;
  const schema = parseMessage(text);
  parsed.set(name, schema);
  return schema;
}
