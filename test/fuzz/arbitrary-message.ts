/** Values of any message in any version for property tests, as decoders give them: fields that the version lacks are at their defaults. */
import * as fc from 'fast-check';
import { type FieldLayout, type StructLayout, zeroUuid } from '../../broker/protocol/layout.ts';
import type { PrimitiveType } from '../../broker/protocol/schema/grammar.ts';

type Value = Readonly<Record<string, unknown>>;

const edges = [0, 1, -1, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), -(2 ** 31) - 1, 2 ** 32 - 1, 2 ** 32, -(2 ** 32), 2 ** 53 - 1, -(2 ** 53) + 1, 2 ** 63, -(2 ** 63)];

export function arbitraryStruct(layout: StructLayout): fc.Arbitrary<Value> {
  return fc.record(Object.fromEntries(layout.fields.map((field) => [field.name, arbitraryField(field)])), { noNullPrototype: true });
}

/** The struct with every field at its default. */
export function defaultStruct(layout: StructLayout): Value {
  return Object.fromEntries(layout.fields.map((field) => [field.name, defaultOf(field)]));
}

function arbitraryField(field: FieldLayout): fc.Arbitrary<unknown> {
  const initial = fc.constant(defaultOf(field));
  if (!field.present) return initial;
  const value = field.isArray ? arbitraryArray(field) : arbitraryElement(field.type);
  const options = [{ arbitrary: value, weight: 6 }];
  if (field.nullable) options.push({ arbitrary: fc.constant(null), weight: 2 });
  if (field.tag !== undefined) options.push({ arbitrary: initial, weight: 2 });
  return fc.oneof(...options);
}

function arbitraryArray(field: FieldLayout): fc.Arbitrary<unknown> {
  const element = arbitraryElement(field.type);
  const short = fc.array(element, { maxLength: 3 });
  // Longer than 127: the length needs two bytes in the compact form.
  return typeof field.type === 'object'
    ? short
    : fc.oneof({ weight: 9, arbitrary: short }, { weight: 1, arbitrary: fc.array(element, { minLength: 128, maxLength: 140 }) });
}

function arbitraryElement(type: PrimitiveType | StructLayout): fc.Arbitrary<unknown> {
  if (typeof type === 'object') return arbitraryStruct(type);
  switch (type) {
    case 'bool':
      return fc.boolean();
    case 'int8':
      return fc.integer({ min: -128, max: 127 });
    case 'int16':
      return fc.integer({ min: -32_768, max: 32_767 });
    case 'uint16':
      return fc.integer({ min: 0, max: 65_535 });
    case 'int32':
      return fc.integer();
    case 'uint32':
      return fc.integer({ min: 0, max: 2 ** 32 - 1 });
    case 'int64':
      return fc.oneof(fc.maxSafeInteger(), fc.constantFrom(...edges));
    case 'float64':
      return fc.double();
    case 'uuid':
      return fc.oneof(
        fc.constant(zeroUuid),
        fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString('base64url')),
      );
    case 'string':
      return fc.oneof(
        { weight: 8, arbitrary: fc.string({ unit: 'binary', maxLength: 20 }) },
        { weight: 1, arbitrary: fc.string({ unit: 'binary', minLength: 30, maxLength: 200 }) },
      );
    case 'bytes':
    case 'records':
      return fc.oneof(
        fc.constantFrom(Buffer.alloc(0), Buffer.alloc(127, 1), Buffer.alloc(1025, 2)),
        fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
      );
    default:
      return type satisfies never;
  }
}

function defaultOf(field: FieldLayout): unknown {
  if (field.initial !== undefined) return field.initial;
  if (field.isArray) return [];
  return typeof field.type === 'object' ? defaultStruct(field.type) : Buffer.alloc(0);
}
