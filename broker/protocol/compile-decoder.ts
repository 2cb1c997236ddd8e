/**
 * Writes and compiles the decoder of one message version: straight-line JavaScript with the reads inlined, one check of the frame's end
 * for each run of fixed-size fields. (Measured: 4 × faster than walking a prepared plan, 30 × faster than interpreting the schema.)
 * Nothing is allocated for an array before its length was held against the bytes left and the message's element budget (reader.ts).
 */
import { bodyFields, type FieldLayout, fixedSize, minElementBytes, type StructLayout, taggedFields } from './layout.ts';
import { maxStringBytes, type Reader } from './reader.ts';
import type { PrimitiveType } from './schema/grammar.ts';

/** Decodes the message at `start`; where it ended is in `reader.pos`. Bytes and records in it are views on `frame`. */
export type Decoder = (frame: Buffer, start: number, reader: Reader) => unknown;

const emptyArray: readonly never[] = Object.freeze([]);
const emptyBytes = Buffer.alloc(0);

export function compileDecoder(layout: StructLayout, label: string): Decoder {
  const source = new DecoderSource(label);
  const value = source.struct(layout, '');
  const body = ['const end = b.length; let n = 0, tag = 0, stop = 0;', ...source.lines, 'r.pos = p;', `return ${value};`].join('\n');
  // oxlint-disable-next-line typescript/no-implied-eval -- the text comes from our own schema, no input is in it
  const factory = new Function('emptyArray', 'emptyBytes', ...source.constants.keys(), `return function decode(b, p, r) {\n${body}\n};`) as (
    ...values: unknown[]
  ) => Decoder;
  return factory(emptyArray, emptyBytes, ...source.constants.values());
}

class DecoderSource {
  readonly lines: string[] = [];
  /** Default structs, shared by all messages that leave them out. */
  readonly constants = new Map<string, unknown>();
  private readonly label: string;
  private variables = 0;

  constructor(label: string) {
    this.label = label;
  }

  /** Emits the reads of a struct; returns the expression that builds it. */
  struct(layout: StructLayout, path: string): string {
    const values = new Map<string, string>();
    for (const field of layout.fields) if (!field.present) values.set(field.name, this.initial(field));
    let run: FieldLayout[] = [];
    for (const field of bodyFields(layout)) {
      if (isFixed(field)) {
        run.push(field);
        continue;
      }
      this.fixedRun(run, path, values);
      run = [];
      const name = this.variable();
      this.lines.push(`let ${name};`);
      this.field(field, name, join(path, field.name));
      values.set(field.name, name);
    }
    this.fixedRun(run, path, values);
    if (layout.flexible) this.tagged(taggedFields(layout), path, values);
    return `{${layout.fields.map((field) => `${field.name}: ${values.get(field.name) ?? ''}`).join(', ')}}`;
  }

  private fixedRun(run: readonly FieldLayout[], path: string, values: Map<string, string>): void {
    let offset = 0;
    const reads: string[] = [];
    for (const field of run) {
      const name = this.variable();
      reads.push(`const ${name} = ${fixedRead(field.type, at(offset))};`);
      values.set(field.name, name);
      offset += fixedSize(field.type) ?? 0;
    }
    if (offset === 0) return;
    this.lines.push(`if (end - p < ${offset}) ${this.ends(join(path, run[0]?.name ?? ''))};`, ...reads, `p += ${offset};`);
  }

  private tagged(fields: readonly FieldLayout[], path: string, values: Map<string, string>): void {
    for (const field of fields) {
      const name = this.variable();
      this.lines.push(`let ${name} = ${this.initial(field)};`);
      values.set(field.name, name);
    }
    const where = this.where(join(path, 'tagged fields'));
    const count = this.variable();
    this.varint('n', where);
    this.lines.push(`if (n !== 0) for (let ${count} = n; ${count} > 0; ${count}--) {`);
    this.varint('tag', where);
    this.lines.push('switch (tag) {');
    for (const field of fields) {
      this.lines.push(`case ${field.tag ?? -1}: {`);
      this.varint('stop', where);
      const stop = this.variable();
      this.lines.push(`if (stop > end - p) ${this.ends(join(path, field.name))};`, `const ${stop} = p + stop;`);
      this.field(field, values.get(field.name) ?? '', join(path, field.name));
      this.lines.push(`if (p !== ${stop}) ${this.fails(join(path, field.name), 'tagged field of another size than it says')};`, 'break; }');
    }
    this.lines.push(`default: r.skipTagged(b, p, ${where}); p = r.pos;`, '} }');
  }

  /** Emits the read of one field into the variable `target`. */
  private field(field: FieldLayout, target: string, path: string): void {
    if (field.isArray) this.array(field, target, path);
    else if (typeof field.type === 'object') this.structField(field.type, field.nullable, target, path);
    else this.primitive(field.type, field, target, path);
  }

  private structField(type: StructLayout, nullable: boolean, target: string, path: string): void {
    if (nullable) this.lines.push(`if (end === p) ${this.ends(path)};`, `if (b[p++] > 127) ${target} = null; else {`);
    const value = this.struct(type, path);
    this.lines.push(`${target} = ${value};`);
    if (nullable) this.lines.push('}');
  }

  private primitive(type: PrimitiveType, field: FieldLayout, target: string, path: string): void {
    const size = fixedSize(type);
    if (size !== undefined) {
      this.lines.push(`if (end - p < ${size}) ${this.ends(path)};`, `${target} = ${fixedRead(type, 'p')};`, `p += ${size};`);
      return;
    }
    this.length(type === 'string' ? 'string' : 'bytes', field.compact, path);
    this.lines.push(`if (n < 0) ${this.whenNull(field.nullable, target, path)}`, 'else {', `if (n > end - p) ${this.ends(path)};`);
    if (type === 'string') {
      this.lines.push(`if (n > ${maxStringBytes}) ${this.fails(path, 'string of more than 32767 bytes')};`);
      this.lines.push(`${target} = n === 0 ? '' : r.string(b, p, n);`);
    } else {
      this.lines.push(`${target} = n === 0 ? emptyBytes : b.subarray(p, p + n);`);
    }
    this.lines.push('p += n;', '}');
  }

  private array(field: FieldLayout, target: string, path: string): void {
    const size = fixedSize(field.type);
    const index = this.variable();
    const count = this.variable();
    // Numbers cost 8 bytes each in memory, everything else an object: 8 numbers count as one element.
    const weight = size !== undefined && field.type !== 'uuid' ? 8 : 1;
    this.length('array', field.compact, path);
    this.lines.push(`if (n < 0) ${this.whenNull(field.nullable, target, path)}`, `else if (n === 0) ${target} = emptyArray;`, 'else {');
    this.lines.push(`r.claim(n, ${Math.max(1, minElementBytes(field))}, ${weight}, end - p, ${this.where(path)});`);
    this.lines.push(`const ${count} = n; ${target} = new Array(${count});`, `for (let ${index} = 0; ${index} < ${count}; ${index}++) {`);
    if (size !== undefined) {
      this.lines.push(`${target}[${index}] = ${fixedRead(field.type, 'p')};`, `p += ${size};`);
    } else if (typeof field.type === 'object') {
      const value = this.struct(field.type, path);
      this.lines.push(`${target}[${index}] = ${value};`);
    } else {
      const element = this.variable();
      this.lines.push(`let ${element};`);
      this.primitive(field.type, { ...field, nullable: false }, element, path);
      this.lines.push(`${target}[${index}] = ${element};`);
    }
    this.lines.push('}', '}');
  }

  /** Emits the read of a length into `n`; −1 is null. */
  private length(kind: 'string' | 'bytes' | 'array', compact: boolean, path: string): void {
    if (compact) {
      this.varint('n', this.where(path));
      this.lines.push('n--;');
      return;
    }
    const size = kind === 'string' ? 2 : 4;
    this.lines.push(`if (end - p < ${size}) ${this.ends(path)};`, `n = ${fixedRead(size === 2 ? 'int16' : 'int32', 'p')};`, `p += ${size};`);
    this.lines.push(`if (n < -1) ${this.fails(path, 'negative length')};`);
  }

  private varint(target: string, where: string): void {
    this.lines.push(`if (p < end && b[p] < 128) ${target} = b[p++]; else { ${target} = r.varint(b, p, ${where}); p = r.pos; }`);
  }

  private whenNull(nullable: boolean, target: string, path: string): string {
    return nullable ? `${target} = null;` : `${this.fails(path, 'null where the version allows none')};`;
  }

  private initial(field: FieldLayout): string {
    if (field.initial !== undefined) return JSON.stringify(field.initial);
    if (field.isArray) return 'emptyArray';
    if (typeof field.type !== 'object') return 'emptyBytes';
    const name = `initial${this.constants.size}`;
    this.constants.set(name, initialStruct(field.type));
    return name;
  }

  private ends(path: string): string {
    return this.fails(path, 'the frame ends before it');
  }

  private fails(path: string, why: string): string {
    return `r.fail(${this.where(path)}, ${JSON.stringify(why)})`;
  }

  private where(path: string): string {
    return JSON.stringify(`${this.label} ${path}`);
  }

  private variable(): string {
    this.variables += 1;
    return `v${this.variables}`;
  }
}

/** A struct with every field at its default: what a decoder gives for one that the version or the sender left out. */
export function initialStruct(layout: StructLayout): Readonly<Record<string, unknown>> {
  return Object.freeze(Object.fromEntries(layout.fields.map((field) => [field.name, initialValue(field)])));
}

function initialValue(field: FieldLayout): unknown {
  if (field.initial !== undefined) return field.initial;
  if (field.isArray) return emptyArray;
  return typeof field.type === 'object' ? initialStruct(field.type) : emptyBytes;
}

function isFixed(field: FieldLayout): boolean {
  return !field.isArray && fixedSize(field.type) !== undefined;
}

function at(offset: number): string {
  return offset === 0 ? 'p' : `p + ${offset}`;
}

function fixedRead(type: PrimitiveType | StructLayout, p: string): string {
  switch (type) {
    case 'bool':
      return `b[${p}] !== 0`;
    case 'int8':
      return `b[${p}] << 24 >> 24`;
    case 'int16':
      return `(b[${p}] << 24 >> 16 | b[${p} + 1])`;
    case 'uint16':
      return `(b[${p}] << 8 | b[${p} + 1])`;
    case 'int32':
      return int32Read(p);
    case 'uint32':
      return `(${int32Read(p)} >>> 0)`;
    case 'int64':
      return `(${int32Read(p)} * 4294967296 + (${int32Read(`${p} + 4`)} >>> 0))`;
    case 'float64':
      return `b.readDoubleBE(${p})`;
    default:
      return `r.uuid(b, ${p})`;
  }
}

function int32Read(p: string): string {
  return `(b[${p}] << 24 | b[${p} + 1] << 16 | b[${p} + 2] << 8 | b[${p} + 3])`;
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}
