/**
 * What no transaction may be, whatever store runs it: etcd's own limits (max-txn-ops, max-request-bytes, one
 * change per key), checked before anything is sent, so that all stores refuse the same ones.
 */
import { invariant } from '../../std/invariant.ts';
import { MetaRefused, type MetaOperation, type MetaTxn } from './meta-store.ts';

export const mostOperations = 128;
/** etcd's default of max-request-bytes is 1.5 MiB for the encoded request; this leaves room for the encoding. */
export const mostTxnBytes = 1_400_000;

/** Throws `MetaRefused` when keys and values are too large, and for bugs of the caller (counts, keys changed twice). */
export function checkTxn(txn: MetaTxn): void {
  const otherwise = txn.otherwise ?? [];
  invariant(txn.compare.length <= mostOperations, 'a transaction compares at most 128 keys', { compares: txn.compare.length });
  checkBranch(txn.then);
  checkBranch(otherwise);
  const sizeBytes =
    textBytes(txn.compare.map((compare) => ('value' in compare ? compare.key + compare.value : compare.key))) +
    operationBytes(txn.then) +
    operationBytes(otherwise);
  if (sizeBytes > mostTxnBytes) throw new MetaRefused(`a transaction of ${sizeBytes} bytes is larger than the metadata store takes (${mostTxnBytes})`);
}

function checkBranch(operations: readonly MetaOperation[]): void {
  invariant(operations.length <= mostOperations, 'a branch of a transaction has at most 128 operations', { operations: operations.length });
  const changed = new Set<string>();
  for (const operation of operations) {
    invariant(operation.key !== '', 'a key is not empty');
    if (operation.kind === 'get') continue;
    invariant(!changed.has(operation.key), 'a branch changes a key once', { key: operation.key });
    changed.add(operation.key);
  }
}

function operationBytes(operations: readonly MetaOperation[]): number {
  return textBytes(operations.map((operation) => (operation.kind === 'put' ? operation.key + operation.value : operation.key)));
}

function textBytes(texts: readonly string[]): number {
  let sum = 0;
  for (const text of texts) sum += Buffer.byteLength(text);
  return sum;
}
