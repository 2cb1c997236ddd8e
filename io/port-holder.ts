/**
 * Who listens on a TCP port of this machine, as far as /proc tells (Linux): the socket's inode from
 * /proc/net/tcp{,6}, then the process that has that inode among its file descriptors. Best effort, for an
 * error text; other users' processes are visible by user id only.
 */
import { readFile, readdir, readlink } from 'node:fs/promises';
import { basename } from 'node:path';

/** A text such as `process 4711 (java)`, or undefined when nothing could be found out. */
export async function describePortHolder(port: number): Promise<string | undefined> {
  const sockets = [...(await listeningSockets('/proc/net/tcp', port)), ...(await listeningSockets('/proc/net/tcp6', port))];
  if (sockets.length === 0) return undefined;
  const pid = await processWithSocket(new Set(sockets.map((socket) => `socket:[${socket.inode}]`)));
  if (pid === undefined) return `a process of user id ${sockets[0]?.userId}`;
  return `process ${pid} (${await programName(pid)})`;
}

interface ListeningSocket {
  readonly inode: string;
  readonly userId: string;
}

const stateListen = '0A';

async function listeningSockets(table: string, port: number): Promise<ListeningSocket[]> {
  const text = await readFile(table, 'latin1').catch(() => '');
  const portHex = port.toString(16).toUpperCase().padStart(4, '0');
  const found: ListeningSocket[] = [];
  for (const line of text.split('\n').slice(1)) {
    const [, local, , state, , , , userId, , inode] = line.trim().split(/\s+/);
    if (state === stateListen && local?.endsWith(`:${portHex}`) && inode && userId) found.push({ inode, userId });
  }
  return found;
}

async function processWithSocket(names: ReadonlySet<string>): Promise<number | undefined> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
  for (const pid of pids) {
    for (const fd of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const target = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '');
      if (names.has(target)) return Number(pid);
    }
  }
  return undefined;
}

/** The program and, for interpreters, the script; no other arguments, since those may hold secrets. */
async function programName(pid: number): Promise<string> {
  const [program = '', script = ''] = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
  if (program === '') return 'name unknown';
  const isScript = script !== '' && !script.startsWith('-') && /\.[cm]?[jt]s$|\.py$|\.sh$/.test(script);
  return isScript ? `${basename(program)} ${basename(script)}` : basename(program.split(' ')[0] ?? program);
}
