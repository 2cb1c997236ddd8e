/**
 * How a process that serves is asked to end: SIGINT and SIGTERM begin a graceful end, a second SIGINT (an impatient
 * Ctrl-C) or SIGTERM ends at once. What nobody caught is a bug: it is logged and ends the process with another code.
 */
import type { Logger } from '../io/logger.ts';

/** The exit code after a bug of ours; a supervisor restarts us, and nothing unacknowledged was acknowledged. */
const bugExitCode = 70;

/** Resolves at the first signal. */
export function endRequested(onSecond: () => void): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let first: NodeJS.Signals | undefined;
    const onSignal = (signal: NodeJS.Signals) => {
      if (first === undefined) resolve((first = signal));
      else {
        onSecond();
        process.exit(signal === 'SIGINT' ? 130 : 143);
      }
    };
    process.on('SIGINT', onSignal);
    process.on('SIGTERM', onSignal);
  });
}

export function endOnBugs(logger: Logger): void {
  const end = (kind: string) => (error: unknown) => {
    logger.error(`${kind}: this is a bug, the process ends`, { error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    // A moment for the line to leave; the loop may be unable to turn, hence the exit by timer and not by drain.
    process.exitCode = bugExitCode;
    setTimeout(() => process.exit(bugExitCode), 100);
  };
  process.on('uncaughtException', end('uncaught exception'));
  process.on('unhandledRejection', end('unhandled rejection'));
}
