/**
 * Makes log fields safe to print: values under secret-looking names are hidden, user:password in URLs is
 * cut out, and depth, length and count are bounded, whatever a caller (or a client's bytes) put in.
 */
import type { LogFields } from './logger.ts';

const secretName = /pass(word|phrase|wd)|secret|token|credential|authori[sz]ation|api-?_?key|access-?_?key|private-?_?key|^auth$|sasl\.jaas/i;
const userInUrl = /\b([a-z][a-z0-9+.-]*:\/\/)[^\s/@]+@/gi;
const longestText = 4_096;
const mostEntries = 64;
const deepest = 4;

/** A text without credentials in URLs, at most 4 KiB long. */
export function safeText(text: string): string {
  const cut = text.length > longestText ? `${text.slice(0, longestText)}… (${text.length} characters)` : text;
  return cut.includes('://') ? cut.replace(userInUrl, '$1') : cut;
}

/** A plain JSON-able copy of `fields` that is bounded and shows no secret. */
export function safeFields(fields: LogFields): Record<string, unknown> {
  return safeObject(Object.entries(fields), 0);
}

function safeObject(entries: readonly (readonly [string, unknown])[], depth: number): Record<string, unknown> {
  const safe: Record<string, unknown> = {};
  for (const [name, value] of entries.slice(0, mostEntries)) {
    if (value !== undefined) safe[name] = secretName.test(name) ? '[hidden]' : safeValue(value, depth + 1);
  }
  if (entries.length > mostEntries) safe['…'] = `${entries.length - mostEntries} more`;
  return safe;
}

function safeValue(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case 'string':
      return safeText(value);
    case 'number':
      return Number.isFinite(value) ? value : String(value);
    case 'bigint':
    case 'symbol':
      return String(value);
    case 'function':
      return '[function]';
    case 'object':
      return value == null ? null : safeReference(value, depth);
    default:
      return value;
  }
}

function safeReference(value: object, depth: number): unknown {
  if (value instanceof Error) return safeError(value, depth);
  if (value instanceof Date) return value.toJSON();
  if (ArrayBuffer.isView(value)) return `<${value.byteLength} bytes>`;
  if (depth >= deepest) return Array.isArray(value) ? `[${value.length} items]` : '[object]';
  if (Array.isArray(value)) {
    const items = value.slice(0, mostEntries).map((item) => safeValue(item, depth + 1));
    return value.length > mostEntries ? [...items, `… ${value.length - mostEntries} more`] : items;
  }
  if (value instanceof Map)
    return safeObject(
      [...value].map(([key, item]) => [String(key), item]),
      depth,
    );
  if (value instanceof Set) return safeReference([...value], depth);
  return safeObject(Object.entries(value), depth);
}

function safeError(error: Error, depth: number): Record<string, unknown> {
  const code = (error as { readonly code?: unknown }).code;
  return {
    name: error.name,
    message: safeText(error.message),
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    ...(depth <= 2 && error.stack ? { stack: safeText(error.stack) } : {}),
    ...(error.cause !== undefined && depth < deepest ? { cause: safeValue(error.cause, depth + 1) } : {}),
  };
}
