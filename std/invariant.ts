/** A broken invariant is a bug of ours: whoever catches one stops loudly and acknowledges nothing. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** Throws an `InvariantError` that carries `values` when `condition` is false. On in production. */
export function invariant(condition: unknown, text: string, values?: Readonly<Record<string, unknown>>): asserts condition {
  if (!condition) throw new InvariantError(values ? `${text}: ${JSON.stringify(values)}` : text);
}
