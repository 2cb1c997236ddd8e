/**
 * Names of stored objects in a list: mostly numbers of one incarnation, one after the other, so two or three bytes each
 * instead of thirty. That is what an index costs in every checkpoint.
 *
 *   0 text · 1 WAL, 2 data: node, epoch, number · 3 WAL, 4 data: of the incarnation before, difference of the numbers
 */
import { type ByteReader, FormatError } from '../../../std/byte-reader.ts';
import type { ByteWriter } from '../../../std/byte-writer.ts';
import type { NodeId } from '../../../cluster/identifiers.ts';
import { dataKey, type ObjectKey, type ParsedKey, parseKey, walKey } from './object-keys.ts';

const minKeyBytes = 2;
const digits = 12;
const allDigits = /^\d{12}$/;
const maxNumber = 999_999_999_999;
const maxNode = 0xffff_ffff;

export function encodeKeys(writer: ByteWriter, keys: readonly ObjectKey[]): void {
  writer.varint(keys.length);
  let before: ParsedKey | undefined;
  let prefix = '';
  for (const key of keys) {
    // Mostly the next number of the same incarnation: told without taking the name apart.
    const tail = before && key.length === prefix.length + digits && key.startsWith(prefix) ? key.slice(prefix.length) : '';
    if (before && allDigits.test(tail)) {
      const number = Number(tail);
      writer.u8((before.area === 'wal' ? 1 : 2) + 2);
      writer.signedVarint(number - before.number);
      before = { ...before, number };
      continue;
    }
    const parsed = parseKey(key);
    if (!parsed) {
      writer.u8(0);
      writer.string(key);
      continue;
    }
    const area = parsed.area === 'wal' ? 1 : 2;
    const { node, epoch } = parsed.incarnation;
    if (before?.incarnation.node === node && before.incarnation.epoch === epoch) {
      writer.u8(area + 2);
      writer.signedVarint(parsed.number - before.number);
    } else {
      writer.u8(area);
      writer.varint(node);
      writer.varint(epoch);
      writer.varint(parsed.number);
    }
    before = parsed;
    prefix = key.slice(0, -digits);
  }
}

export function decodeKeys(reader: ByteReader): ObjectKey[] {
  const keys: ObjectKey[] = [];
  let before: ParsedKey | undefined;
  for (let left = reader.count(minKeyBytes); left > 0; left--) {
    const tag = reader.u8();
    if (tag === 0) {
      keys.push(reader.string() as ObjectKey);
      continue;
    }
    before = decodeParsed(reader, tag, before);
    keys.push(before.area === 'wal' ? walKey(before.incarnation, before.number) : dataKey(before.incarnation, before.number));
  }
  return keys;
}

function decodeParsed(reader: ByteReader, tag: number, before: ParsedKey | undefined): ParsedKey {
  const area = tag === 1 || tag === 3 ? 'wal' : 'data';
  let parsed: ParsedKey;
  if (tag === 1 || tag === 2) parsed = { area, incarnation: { node: reader.varint() as NodeId, epoch: reader.varint() }, number: reader.varint() };
  else if ((tag === 3 || tag === 4) && before) parsed = { area, incarnation: before.incarnation, number: before.number + reader.signedVarint() };
  else throw new FormatError(`object name of unknown kind ${tag}`);
  const { node, epoch } = parsed.incarnation;
  if (node > maxNode || epoch > maxNumber || parsed.number < 0 || parsed.number > maxNumber) throw new FormatError('object name out of range');
  return parsed;
}
