/** What a local cluster of several brokers keeps in its data folder beside the stores: `up/` with logs, the control socket, and who it is. */
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { StartRefused } from '../start-refusal.ts';

/** A log longer than this is set aside when its broker starts; one of those is kept. */
const mostLogBytes = 16 * 1024 * 1024;
/** The shortest limit of a socket's path among systems (macOS), without the zero at its end. */
const mostPathBytes = 103;

export const upFolder = (data: string): string => join(data, 'up');
export const metadataFolder = (data: string): string => join(data, 'metadata');

/** Relative when that is shorter: the path of a socket has a limit of about a hundred bytes. */
export function controlSocketPath(data: string): string {
  const path = join(upFolder(data), 'control.sock');
  const fromHere = relative(process.cwd(), path);
  const shorter = fromHere.length < path.length ? fromHere : path;
  if (Buffer.byteLength(shorter) > mostPathBytes) throw new StartRefused(`${path} is too long for the path of a socket: take a shorter --data folder`);
  return shorter;
}

/** Of the metadata kept in this folder, made once: brokers do not talk to a store of another folder that took the port. */
export async function metadataIdentity(data: string): Promise<string> {
  const path = join(metadataFolder(data), 'identity');
  await mkdir(metadataFolder(data), { recursive: true });
  const kept = await readFile(path, 'utf8').catch(() => '');
  if (/^[\w-]+$/.test(kept)) return kept;
  const identity = randomUUID();
  await writeFile(`${path}.new`, identity);
  await rename(`${path}.new`, path);
  return identity;
}

/** The log to append to. */
export async function brokerLog(data: string, node: number): Promise<string> {
  const path = join(upFolder(data), `broker-${node}.log`);
  const sizeBytes = await stat(path).then(
    ({ size }) => size,
    () => 0,
  );
  if (sizeBytes > mostLogBytes) await rename(path, `${path}.1`);
  return path;
}
