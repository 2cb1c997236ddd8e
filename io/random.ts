/** Chance, the only source of it, so that a seed replays a run. */
export interface Random {
  /** Uniform in [0, 1). */
  float(): number;
  /** Uniform integer in [0, bound). */
  below(bound: number): number;
  /** `length` random bytes. */
  bytes(length: number): Buffer;
}
