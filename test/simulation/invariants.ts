/**
 * What must hold at every moment, seen from outside all brokers: at the metadata store, at the bucket, and in what clients
 * are told (faults.md F07, F13, C4, C6).
 *
 * - One incarnation owns a partition in one leader epoch, and leader epochs only grow.
 * - Nobody is told of a leader that was none in that epoch, and who answers for an epoch owns it.
 * - A group of records is written by the incarnation that owns the partition in the records' leader epoch.
 * - What two clients were acknowledged never overlaps.
 * - A seal is never deleted; a name of an incarnation never gets other bytes than it once had.
 */
import type { Incarnation } from '../../cluster/identifiers.ts';
import { parsePartitionKey, parseRecord, parseRecoveryKey, partitionRecord, recoveryRecord } from '../../cluster/meta-records.ts';
import type { MetaTxn, MetaTxnResult } from '../../io/meta/meta-store.ts';
import { ByteReader, FormatError } from '../../std/byte-reader.ts';
import { crc32c } from '../../std/crc32c.ts';
import { parseKey } from '../../broker/log/format/object-keys.ts';
import { decodeSlices } from '../../broker/log/format/slices.ts';
import { parseWholeObject } from '../../broker/log/format/stored-object.ts';
import type { Operation } from '../checker/history.ts';

type OnViolation = (name: string, detail: string) => void;

interface KnownObject {
  readonly sizeBytes: number;
  readonly crc: number;
  readonly isSeal: boolean;
}

export class Invariants {
  readonly #onViolation: OnViolation;
  /** By `topicId/partition`: the owner in each leader epoch. */
  readonly #owners = new Map<string, Map<number, Incarnation>>();
  readonly #latestEpochs = new Map<string, number>();
  /** Incarnations that no partition record names any more, for ever. */
  readonly #ended = new Set<string>();
  readonly #objects = new Map<string, KnownObject>();
  /** By `topicId/partition`: which value was acknowledged at each offset. */
  readonly #acknowledged = new Map<string, Map<number, number>>();

  constructor(onViolation: OnViolation) {
    this.#onViolation = onViolation;
  }

  /** A transaction of the metadata store was applied. */
  applied(txn: MetaTxn, { committed }: MetaTxnResult): void {
    for (const operation of (committed ? txn.then : txn.otherwise) ?? []) {
      if (operation.kind !== 'put') continue;
      const recovery = parseRecoveryKey(operation.key);
      if (recovery && parseRecord(recoveryRecord, operation.value)?.ended) this.#ended.add(nameOf(recovery));
      const at = parsePartitionKey(operation.key);
      const record = at && parseRecord(partitionRecord, operation.value);
      if (at && record) this.#owns(`${at.topicId}/${at.partition}`, record.leaderEpoch, record.owner);
    }
  }

  /** A client was told, or saw, that the broker leads the partition in this epoch. */
  told(topicId: string, partition: number, leader: number, epoch: number): void {
    if (leader < 0 || epoch < 0) return;
    const key = `${topicId}/${partition}`;
    const owner = this.#owners.get(key)?.get(epoch);
    if (owner?.node !== leader)
      this.#onViolation('leader-told', `${key}: a client was told that broker ${leader} leads in leader epoch ${epoch}, which ${nameOf(owner)} owns`);
  }

  created(key: string, bytes: Buffer): void {
    const parsed = parseKey(key);
    if (parsed === undefined) return;
    const known = this.#objects.get(key);
    const crc = crc32c(bytes);
    let isSeal = false;
    try {
      const { trailer, footer } = parseWholeObject(bytes);
      isSeal = trailer.kind === 'seal';
      if (trailer.kind === 'group') this.#written(key, parsed.incarnation, footer);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      this.#onViolation('object-format', `${key}: ${error.message}`);
    }
    // A recoverer that was slow may place its seal in a hole that collection left: nobody reads there (docs/design/model).
    const isLateSeal = isSeal && this.#ended.has(nameOf(parsed.incarnation));
    if (known !== undefined && !isLateSeal && (known.crc !== crc || known.sizeBytes !== bytes.byteLength))
      this.#onViolation('name-reused', `${key} was created with ${known.sizeBytes} bytes, and again with ${bytes.byteLength} others`);
    this.#objects.set(key, { sizeBytes: bytes.byteLength, crc, isSeal });
  }

  deleted(key: string): void {
    if (this.#objects.get(key)?.isSeal) this.#onViolation('seal-deleted', key);
  }

  /** The store itself lost it before anybody was told of it: the name is as if it had never been used. */
  lost(key: string): void {
    this.#objects.delete(key);
  }

  recorded(operation: Operation): void {
    if (operation.f !== 'send' || operation.type !== 'ok' || operation.baseOffset === null) return;
    const { key, baseOffset, values, process } = operation;
    let taken = this.#acknowledged.get(key);
    if (taken === undefined) this.#acknowledged.set(key, (taken = new Map()));
    for (const [i, value] of values.entries()) {
      const offset = baseOffset + i;
      const before = taken.get(offset);
      if (before !== undefined && before !== value)
        return this.#onViolation('acknowledged-twice', `${key}: offset ${offset} was acknowledged for ${before} and, to ${process}, for ${value}`);
      taken.set(offset, value);
    }
  }

  #owns(key: string, epoch: number, owner: Incarnation): void {
    let owners = this.#owners.get(key);
    if (owners === undefined) this.#owners.set(key, (owners = new Map()));
    const before = owners.get(epoch);
    if (before !== undefined && (before.node !== owner.node || before.epoch !== owner.epoch))
      this.#onViolation('two-owners', `${key}: leader epoch ${epoch} is ${nameOf(before)}'s and ${nameOf(owner)}'s`);
    owners.set(epoch, owner);
    const latest = this.#latestEpochs.get(key) ?? -1;
    if (epoch < latest) this.#onViolation('leader-epoch-back', `${key}: leader epoch ${epoch} of ${nameOf(owner)} after ${latest}`);
    this.#latestEpochs.set(key, Math.max(epoch, latest));
  }

  #written(key: string, writer: Incarnation, footer: Buffer): void {
    for (const { topicId, partition, leaderEpoch } of decodeSlices(new ByteReader(footer))) {
      const at = `${topicId}/${partition}`;
      const owner = this.#owners.get(at)?.get(leaderEpoch);
      if (owner?.node !== writer.node || owner.epoch !== writer.epoch)
        this.#onViolation('foreign-write', `${key} has records of ${at} in leader epoch ${leaderEpoch}, which ${nameOf(owner)} owns`);
    }
  }
}

function nameOf(incarnation: Incarnation | undefined): string {
  return incarnation === undefined ? 'nobody' : `${incarnation.node}.${incarnation.epoch}`;
}
