/**
 * Writes and compiles the encoder of one message version, as compile-decoder.ts does for decoding. Fields that a value leaves out
 * (undefined) are written with Kafka's default; fields that the version lacks are not looked at; tagged fields at their default are not sent.
 * A null string is sent empty where only other versions know null: what Kafka's handlers do by hand (JoinGroup's protocolName before v7).
 */
import { bodyFields, type FieldLayout, fixedSize, type StructLayout, taggedFields, zeroUuid } from './layout.ts';
import type { PrimitiveType } from './schema/grammar.ts';
import type { Writer } from './writer.ts';

/** Writes `value` at `start` of the writer's buffer; returns where it ended. */
export type Encoder = (writer: Writer, start: number, value: unknown) => number;

export function compileEncoder(layout: StructLayout, label: string): Encoder {
  const source = new EncoderSource(label);
  source.struct(layout, 'value', '', false);
  // oxlint-disable-next-line typescript/no-implied-eval -- the text comes from our own schema, no input is in it
  return new Function(`return function encode(w, p, value) {\nlet b = w.buffer;\n${source.lines.join('\n')}\nreturn p;\n};`)() as Encoder;
}

class EncoderSource {
  readonly lines: string[] = [];
  private readonly label: string;
  private variables = 0;

  constructor(label: string) {
    this.label = label;
  }

  /** Emits the writes of the struct in the variable `value`; `copy` inside tagged fields, whose bytes must lie together. */
  struct(layout: StructLayout, value: string, path: string, copy: boolean): void {
    let run: FieldLayout[] = [];
    for (const field of bodyFields(layout)) {
      if (!field.isArray && fixedSize(field.type) !== undefined) {
        run.push(field);
        continue;
      }
      this.fixedRun(run, value, path);
      run = [];
      this.field(field, this.take(field, value), join(path, field.name), copy);
    }
    this.fixedRun(run, value, path);
    if (layout.flexible) this.tagged(taggedFields(layout), value, path);
  }

  private fixedRun(run: readonly FieldLayout[], value: string, path: string): void {
    let offset = 0;
    const writes: string[] = [];
    for (const field of run) {
      const name = this.take(field, value);
      writes.push(fixedWrite(field.type, offset, name, this.where(join(path, field.name))));
      offset += fixedSize(field.type) ?? 0;
    }
    if (offset > 0) this.lines.push(this.room(offset), ...writes, `p += ${offset};`);
  }

  private tagged(fields: readonly FieldLayout[], value: string, path: string): void {
    const names = fields.map((field) => this.take(field, value));
    const flags = fields.map((field, at) => {
      const flag = this.variable();
      this.lines.push(`const ${flag} = ${differs(field, names[at] ?? '')};`);
      return flag;
    });
    this.lines.push(this.room(1 + 2 * fields.length), `b[p++] = ${flags.length === 0 ? '0' : flags.map((flag) => `(${flag} ? 1 : 0)`).join(' + ')};`);
    fields.forEach((field, at) => {
      const start = this.variable();
      this.lines.push(`if (${flags[at] ?? ''}) {`, this.room(2), `b[p++] = ${field.tag ?? 0};`, `const ${start} = p++;`);
      this.field(field, names[at] ?? '', join(path, field.name), true);
      this.lines.push(`p = w.tagSize(${start}, p); b = w.buffer;`, '}');
    });
  }

  private field(field: FieldLayout, name: string, path: string, copy: boolean): void {
    const { type } = field;
    const size = fixedSize(type);
    if (!field.isArray && size !== undefined) {
      this.lines.push(this.room(size), fixedWrite(type, 0, name, this.where(path)), `p += ${size};`);
      return;
    }
    this.lines.push(
      `if (${name} === null) ${field.nullable ? `{ ${this.nullOf(field)} }` : `w.fail(${this.where(path)}, 'null where the version allows none');`}`,
    );
    this.lines.push('else {');
    if (field.isArray) this.array(field, name, path, copy);
    else if (typeof type === 'object') {
      if (field.nullable) this.lines.push(this.room(1), 'b[p++] = 1;');
      this.struct(type, name, path, copy);
    } else this.opaque(type, field.compact, name, path, copy);
    this.lines.push('}');
  }

  private opaque(type: PrimitiveType, compact: boolean, name: string, path: string, copy: boolean): void {
    if (type === 'string') this.lines.push(`p = w.string(p, ${name}, ${compact}, ${this.where(path)}); b = w.buffer;`);
    else this.lines.push(`p = w.bytes(p, ${name}, ${compact}, ${copy}); b = w.buffer;`);
  }

  private array(field: FieldLayout, name: string, path: string, copy: boolean): void {
    const { type } = field;
    const size = fixedSize(type);
    const element = this.variable();
    const index = this.variable();
    this.lines.push(`p = w.${field.compact ? `varint(p, ${name}.length + 1)` : `int32(p, ${name}.length)`}; b = w.buffer;`);
    if (size !== undefined) this.lines.push(`if (p + ${name}.length * ${size} > b.length) b = w.grow(p, ${name}.length * ${size});`);
    this.lines.push(`for (let ${index} = 0; ${index} < ${name}.length; ${index}++) {`, `const ${element} = ${name}[${index}];`);
    if (size !== undefined) this.lines.push(fixedWrite(type, 0, element, this.where(path)), `p += ${size};`);
    else if (typeof type === 'object') this.struct(type, element, path, copy);
    else this.opaque(type, field.compact, element, path, copy);
    this.lines.push('}');
  }

  private nullOf(field: FieldLayout): string {
    if (!field.isArray && typeof field.type === 'object') return `${this.room(1)} b[p++] = 255;`;
    if (field.compact) return `${this.room(1)} b[p++] = 0;`;
    if (!field.isArray && field.type === 'string') return `${this.room(2)} b[p++] = 255; b[p++] = 255;`;
    return 'p = w.int32(p, -1); b = w.buffer;';
  }

  /** Reads the field from `value` into a variable, the default where it was left out. */
  private take(field: FieldLayout, value: string): string {
    const name = this.variable();
    const sentEmpty = field.nullableElsewhere && field.type === 'string' && !field.isArray;
    const missing = sentEmpty ? `${name} === undefined || ${name} === null` : `${name} === undefined`;
    this.lines.push(`let ${name} = ${value}.${field.name};`, `if (${missing}) ${name} = ${sentEmpty ? "''" : initialOf(field)};`);
    return name;
  }

  private room(bytes: number): string {
    return `if (p + ${bytes} > b.length) b = w.grow(p, ${bytes});`;
  }

  private where(path: string): string {
    return JSON.stringify(`${this.label} ${path}`);
  }

  private variable(): string {
    this.variables += 1;
    return `v${this.variables}`;
  }
}

function initialOf(field: FieldLayout): string {
  if (field.type === 'records' && !field.nullable) return '[]';
  if (field.initial !== undefined) return JSON.stringify(field.initial);
  return typeof field.type === 'object' && !field.isArray ? '{}' : '[]';
}

/** An expression: does `name` differ from the field's default, so that a tagged field has to be sent? */
function differs(field: FieldLayout, name: string): string {
  if (field.initial !== undefined) return `${name} !== ${JSON.stringify(field.initial)}`;
  if (field.isArray || typeof field.type !== 'object') return `(${name} === null || ${name}.length > 0)`;
  const parts = field.type.fields
    .filter((inner) => inner.present)
    .map((inner) => `(${name}.${inner.name} !== undefined && ${differs(inner, `${name}.${inner.name}`)})`);
  return parts.length === 0 ? 'false' : `(${name} === null || ${parts.join(' || ')})`;
}

function fixedWrite(type: PrimitiveType | StructLayout, offset: number, name: string, where: string): string {
  const p = (extra: number): string => (offset + extra === 0 ? 'p' : `p + ${offset + extra}`);
  switch (type) {
    case 'bool':
      return `b[${p(0)}] = ${name} ? 1 : 0;`;
    case 'int8':
      return `b[${p(0)}] = ${name};`;
    case 'int16':
    case 'uint16':
      return `b[${p(0)}] = ${name} >> 8; b[${p(1)}] = ${name};`;
    case 'int32':
    case 'uint32':
      return `b[${p(0)}] = ${name} >> 24; b[${p(1)}] = ${name} >> 16; b[${p(2)}] = ${name} >> 8; b[${p(3)}] = ${name};`;
    case 'int64':
      return `w.int64(b, ${p(0)}, ${name});`;
    case 'float64':
      return `b.writeDoubleBE(${name}, ${p(0)});`;
    default:
      return `if (${name} === '${zeroUuid}') b.fill(0, ${p(0)}, ${p(16)}); else w.uuid(b, ${p(0)}, ${name}, ${where});`;
  }
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}
