/**
 * The types that a setting's text can have (Kafka's ConfigDef types), as zod schemas from text to value. The problem
 * texts are those of Kafka's validators, since clients see them in INVALID_CONFIG answers.
 */
import { z } from 'zod';

/** Kafka's ConfigDef.Type. */
export type KafkaType = 'boolean' | 'string' | 'int' | 'short' | 'long' | 'double' | 'list' | 'password';

export interface ValueType<T> {
  readonly kafkaType: KafkaType;
  readonly schema: z.ZodType<T, string>;
  /** What is allowed, for people. */
  readonly allowed: string;
}

/** `shown`: the part of the text that Kafka names in its message, when that is not the whole text. */
export type ParsedValue<T> = { readonly kind: 'value'; readonly value: T } | { readonly kind: 'problem'; readonly problem: string; readonly shown?: string };

export function parseValue<T>(type: ValueType<T>, text: string): ParsedValue<T> {
  const result = type.schema.safeParse(text);
  if (result.success) return { kind: 'value', value: result.data };
  const issue = result.error.issues[0];
  const shown: unknown = issue?.code === 'custom' ? issue.params?.['shown'] : undefined;
  return { kind: 'problem', problem: issue?.message ?? 'not allowed', ...(typeof shown === 'string' ? { shown } : {}) };
}

export interface Range {
  readonly min?: number;
  readonly max?: number;
}

const INT_LIMIT = 2n ** 31n;
const LONG_LIMIT = 2n ** 63n;
const SHORT_LIMIT = 2n ** 15n;

export function int(range: Range = {}): ValueType<number> {
  return wholeNumber('int', INT_LIMIT, range);
}

export function short(range: Range = {}): ValueType<number> {
  return wholeNumber('short', SHORT_LIMIT, range);
}

/** Values beyond 2^53 become the nearest safe integer: nothing that we count reaches it. */
export function long(range: Range = {}): ValueType<number> {
  return wholeNumber('long', LONG_LIMIT, range);
}

/** `compression.gzip.level`: 1 to 9, or −1 for the codec's own default. */
export function intOr(exception: number, range: Required<Range>): ValueType<number> {
  const base = int();
  return {
    kafkaType: 'int',
    allowed: `${exception} or ${rangeText('an integer', range)}`,
    schema: base.schema.refine((value) => value === exception || (value >= range.min && value <= range.max), {
      message: `Value must be between ${range.min} and ${range.max} or equal to ${exception}`,
    }),
  };
}

export function double(range: Range = {}): ValueType<number> {
  return {
    kafkaType: 'double',
    allowed: rangeText('a number', range),
    schema: z.string().transform((text, context) => {
      const trimmed = text.trim();
      const value = Number(trimmed);
      if (!/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(trimmed) || !Number.isFinite(value)) return refuse(context, 'Not a number of type DOUBLE');
      return inRange(value, range, context, Number.isInteger(value) ? value.toFixed(1) : String(value));
    }),
  };
}

export const boolean: ValueType<boolean> = {
  kafkaType: 'boolean',
  allowed: 'true or false',
  schema: z.string().transform((text, context) => {
    const lower = text.trim().toLowerCase();
    if (lower === 'true') return true;
    return lower === 'false' ? false : refuse(context, 'Expected value to be either true or false');
  }),
};

export const string: ValueType<string> = { kafkaType: 'string', allowed: 'a text', schema: z.string().transform((text) => text.trim()) };

/** An empty text means that the setting is not set. */
export const optionalString: ValueType<string | undefined> = {
  kafkaType: 'string',
  allowed: 'a text, or nothing',
  schema: z.string().transform((text) => text.trim() || undefined),
};

export function oneOf<const T extends string>(...choices: readonly T[]): ValueType<T> {
  return {
    kafkaType: 'string',
    allowed: choices.join(', '),
    schema: z.string().transform((text, context) => {
      const choice = choices.find((candidate) => candidate === text.trim());
      return choice ?? refuse(context, `String must be one of: ${choices.join(', ')}`);
    }),
  };
}

export function listOf<const T extends string>(...choices: readonly T[]): ValueType<readonly T[]> {
  return {
    kafkaType: 'list',
    allowed: `some of: ${choices.join(', ')}`,
    schema: z.string().transform((text, context) => {
      const items: T[] = [];
      for (const item of splitList(text)) {
        const choice = choices.find((candidate) => candidate === item);
        if (choice === undefined) return refuse(context, `String must be one of: ${choices.join(', ')}`, item);
        if (!items.includes(choice)) items.push(choice);
      }
      return items;
    }),
  };
}

/** Any other text form. `read` answers the value, or what is wrong with the text. */
export function custom<T>(kafkaType: KafkaType, allowed: string, read: (text: string) => ParsedValue<T>): ValueType<T> {
  return {
    kafkaType,
    allowed,
    schema: z.string().transform((text, context) => {
      const parsed = read(text.trim());
      return parsed.kind === 'value' ? parsed.value : refuse(context, parsed.problem, parsed.shown);
    }),
  };
}

export function splitList(text: string): string[] {
  const trimmed = text.trim();
  return trimmed === '' ? [] : trimmed.split(',').map((item) => item.trim());
}

function wholeNumber(kafkaType: 'int' | 'short' | 'long', limit: bigint, range: Range): ValueType<number> {
  return {
    kafkaType,
    allowed: rangeText('an integer', range),
    schema: z.string().transform((text, context) => {
      const trimmed = text.trim();
      if (!/^[+-]?\d{1,20}$/.test(trimmed)) return refuse(context, `Not a number of type ${kafkaType.toUpperCase()}`);
      const exact = BigInt(trimmed.replace(/^\+/, ''));
      if (exact >= limit || exact < -limit) return refuse(context, `Not a number of type ${kafkaType.toUpperCase()}`);
      return inRange(clampToSafe(exact), range, context);
    }),
  };
}

function clampToSafe(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) return Number.MAX_SAFE_INTEGER;
  return value < BigInt(Number.MIN_SAFE_INTEGER) ? Number.MIN_SAFE_INTEGER : Number(value);
}

function inRange(value: number, range: Range, context: z.RefinementCtx, shown = String(value)): number {
  if (range.min !== undefined && value < range.min) return refuse(context, `Value must be at least ${range.min}`, shown);
  return range.max !== undefined && value > range.max ? refuse(context, `Value must be no more than ${range.max}`, shown) : value;
}

function refuse(context: z.RefinementCtx, message: string, shown?: string): never {
  context.addIssue({ code: 'custom', message, params: { shown } });
  return z.NEVER;
}

function rangeText(noun: string, range: Range): string {
  if (range.min !== undefined && range.max !== undefined) return `${noun} from ${range.min} to ${range.max}`;
  if (range.min !== undefined) return `${noun}, ${range.min} or more`;
  return range.max === undefined ? noun : `${noun}, ${range.max} or less`;
}
