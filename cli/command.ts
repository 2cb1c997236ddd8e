/** A subcommand of the automq program. */
export interface Command {
  /** What it does, its options and examples; ends with a newline. */
  readonly help: string;
  /** Runs to its end; answers the exit code: 0 done, 1 failed, 2 wrong use. */
  readonly run: (args: readonly string[]) => Promise<number>;
}

/** Wrong use of a command: told in one line, with the way to the help. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
