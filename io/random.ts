/** Chance, the only source of it, so that a seed replays a run. */
export interface Random {
  /** Uniform in [0, 1). */
  float(): number;
  /** Uniform integer in [0, bound). */
  below(bound: number): number;
  /** `length` random bytes. */
  bytes(length: number): Buffer;
}

/** Full jitter: how long to wait before the attempt that follows `attempt` (1, 2, …), uniform below a ceiling that doubles. */
export function fullJitterMs(
  random: Random,
  attempt: number,
  { baseBackoffMs, maxBackoffMs }: { readonly baseBackoffMs: number; readonly maxBackoffMs: number },
): number {
  return random.float() * Math.min(maxBackoffMs, baseBackoffMs * 2 ** Math.min(attempt - 1, 20));
}
