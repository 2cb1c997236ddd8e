/** `automq storage`: looks into the object store and tests whether a store is fit. */
import type { Command } from './command.ts';

const help = `Usage: automq storage COMMAND
`;

export const storage: Command = { help, run: () => Promise.resolve(2) };
