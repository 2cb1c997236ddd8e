/**
 * What a metadata store's server and its clients say to each other. A call has a number, and one answer; the entries of a
 * list come in parts before it. A watch has a number, too, and is told events until a gap or its end. The server speaks first,
 * with the version and which store it serves: revisions and watches mean nothing in another one.
 */
import { z } from 'zod';
import { mostOperations } from '../txn-limits.ts';
import type { MetaEntry, MetaEvent, MetaTxn, MetaTxnResult } from '../meta-store.ts';

export const protocolVersion = 1;

const number = z.number().int().min(0);
const operation = z.union([
  z.object({ kind: z.literal('put'), key: z.string(), value: z.string(), lease: z.object({ id: z.string() }).optional() }),
  z.object({ kind: z.enum(['delete', 'get']), key: z.string() }),
]);
const operations = z.array(operation).max(mostOperations);
const txn = z.object({
  compare: z.array(z.union([z.object({ key: z.string(), modRevision: number }), z.object({ key: z.string(), value: z.string() })])).max(mostOperations),
  then: operations,
  otherwise: operations.optional(),
});

/** Checked, since whatever runs on this machine may connect. */
export const clientMessage = z.union([
  z.object({
    id: number,
    call: z.union([
      z.object({ kind: z.literal('get'), key: z.string() }),
      z.object({ kind: z.literal('list'), prefix: z.string() }),
      z.object({ kind: z.literal('txn'), txn }),
      z.object({ kind: z.literal('grant'), ttlMs: z.number().min(1) }),
      z.object({ kind: z.literal('keep-alive'), lease: z.string() }),
      z.object({ kind: z.literal('revoke'), lease: z.string() }),
      z.object({ kind: z.literal('ping') }),
    ]),
  }),
  z.object({ watch: number, prefix: z.string(), after: number }),
  z.object({ unwatch: number }),
]);
export type ClientMessage = z.infer<typeof clientMessage>;
export type ServedCall = Extract<ClientMessage, { id: number }>['call'];

/** A call as a client makes it: the same with the interface's own transaction, whose leases become their ids in JSON. */
export type ClientCall = Exclude<ServedCall, { kind: 'txn' }> | { readonly kind: 'txn'; readonly txn: WrittenTxn };
export type WrittenTxn = Pick<MetaTxn, 'compare'> & { readonly then: readonly unknown[]; readonly otherwise: readonly unknown[] };

/** What each kind of call is answered with; JSON has null for what is absent. */
export interface Answers {
  readonly get: MetaEntry | null;
  /** Its entries came before. */
  readonly list: { readonly revision: number };
  readonly txn: Omit<MetaTxnResult, 'reads'> & { readonly reads: readonly (MetaEntry | null)[] };
  readonly grant: { readonly lease: string };
  /** False: the lease is gone. */
  readonly 'keep-alive': boolean;
  readonly revoke: boolean;
  readonly ping: true;
}

export type CallFailure = 'unavailable' | 'unknown' | 'refused';

export type ServerMessage =
  | { readonly version: number; readonly identity: string }
  | { readonly id: number; readonly entries: readonly MetaEntry[] }
  | { readonly id: number; readonly answer: unknown }
  | { readonly id: number; readonly failure: CallFailure; readonly text: string }
  /** `more`: events of the same delivery follow; `revision` counts with its last part. */
  | { readonly watch: number; readonly events: readonly MetaEvent[]; readonly revision: number; readonly more: boolean }
  | { readonly watch: number; readonly gap: true };

/** Cuts a long row into pieces of about `pieceCharacters`; an empty row is one empty piece. */
export function piecesOf<T extends MetaEntry | MetaEvent>(row: readonly T[], pieceCharacters: number): T[][] {
  const pieces: T[][] = [];
  let piece: T[] = [];
  let characters = 0;
  for (const each of row) {
    piece.push(each);
    characters += each.key.length + ('value' in each ? each.value.length : 0) + 64;
    if (characters < pieceCharacters) continue;
    pieces.push(piece);
    piece = [];
    characters = 0;
  }
  if (piece.length > 0 || pieces.length === 0) pieces.push(piece);
  return pieces;
}
