/**
 * What one version of a message looks like on the wire: the fields that exist there in order, their encoding and defaults decided.
 * Decoder and encoder are both compiled from this, so they cannot disagree about a version.
 */
import { type DefaultValue, type FieldSchema, inRange, type MessageSchema, type PrimitiveType, type StructSchema } from './schema/grammar.ts';

export interface StructLayout {
  readonly name: string;
  /** Every field of the struct in schema order, those that this version lacks too (`present: false`). */
  readonly fields: readonly FieldLayout[];
  /** Ends with tagged fields. */
  readonly flexible: boolean;
  /** No encoding of this struct is shorter. */
  readonly minBytes: number;
}

export interface FieldLayout {
  readonly name: string;
  readonly present: boolean;
  readonly type: PrimitiveType | StructLayout;
  readonly isArray: boolean;
  readonly nullable: boolean;
  /** Other versions allow null, this one does not. */
  readonly nullableElsewhere: boolean;
  readonly tag: number | undefined;
  /** Lengths in the compact form: unsigned varint of length + 1. */
  readonly compact: boolean;
  /** Kafka's default; undefined: the empty array or bytes, the struct with all fields at their defaults. */
  readonly initial: DefaultValue | undefined;
}

export const zeroUuid = 'AAAAAAAAAAAAAAAAAAAAAA';

export function layoutOf(message: MessageSchema, version: number): StructLayout {
  return structLayout(message.root, version, version >= message.flexibleFrom);
}

/** Bytes of types whose length is always the same; undefined for the others. */
export function fixedSize(type: PrimitiveType | StructLayout): number | undefined {
  switch (type) {
    case 'bool':
    case 'int8':
      return 1;
    case 'int16':
    case 'uint16':
      return 2;
    case 'int32':
    case 'uint32':
      return 4;
    case 'int64':
    case 'float64':
      return 8;
    case 'uuid':
      return 16;
    default:
      return undefined;
  }
}

/** Least bytes of one element of the field, were it an array; of the field itself otherwise. */
export function minElementBytes(field: FieldLayout): number {
  const { type } = field;
  if (typeof type === 'object') return type.minBytes;
  return fixedSize(type) ?? (field.compact ? 1 : type === 'string' ? 2 : 4);
}

/** The fields in body order, and the tagged ones by ascending tag. */
export function bodyFields(struct: StructLayout): readonly FieldLayout[] {
  return struct.fields.filter((field) => field.present && field.tag === undefined);
}

export function taggedFields(struct: StructLayout): readonly FieldLayout[] {
  return struct.fields.filter((field) => field.present && field.tag !== undefined).sort((a, b) => (a.tag ?? 0) - (b.tag ?? 0));
}

function structLayout(struct: StructSchema, version: number, flexible: boolean): StructLayout {
  const fields = struct.fields.map((field) => fieldLayout(field, version, flexible));
  const layout = { name: struct.name, fields, flexible, minBytes: flexible ? 1 : 0 };
  for (const field of bodyFields(layout)) layout.minBytes += minFieldBytes(field);
  return layout;
}

function minFieldBytes(field: FieldLayout): number {
  if (field.isArray) return field.compact ? 1 : 4;
  if (typeof field.type === 'object' && field.nullable) return 1;
  return minElementBytes(field);
}

function fieldLayout(field: FieldSchema, version: number, flexible: boolean): FieldLayout {
  return {
    name: field.name,
    present: inRange(version, field.versions),
    type: typeof field.type === 'string' ? field.type : structLayout(field.type, version, flexible),
    isArray: field.isArray,
    nullable: inRange(version, field.nullable),
    nullableElsewhere: field.nullable !== undefined && !inRange(version, field.nullable),
    tag: field.tag,
    compact: flexible && !field.classic,
    initial: initialOf(field),
  };
}

function initialOf(field: FieldSchema): DefaultValue | undefined {
  if (field.explicitDefault !== undefined) return field.explicitDefault;
  if (field.isArray || typeof field.type === 'object' || field.type === 'bytes') return undefined;
  if (field.type === 'records') return null;
  if (field.type === 'string') return '';
  if (field.type === 'uuid') return zeroUuid;
  return field.type === 'bool' ? false : 0;
}
