/**
 * An accepted socket that reads into memory of ours. Node offers `onread` only to sockets that connect; for one that a server
 * accepted we take its handle over into a new socket, as node:net does it itself, and say undefined when this Node works in
 * another way: the caller keeps the socket and pays for a fresh 64 KiB buffer with each read.
 */
import { Socket, type OnReadOpts } from 'node:net';

interface SocketOptions {
  readonly highWaterMark: number;
  readonly onread: OnReadOpts;
}

interface WithHandle {
  _handle?: { readonly useUserBuffer?: unknown } | null;
}

/** `accepted` was paused at once (`pauseOnConnect`) and must not be used when this answers a socket. It reads once resumed. */
export function reopenWithPlaces(accepted: Socket, { highWaterMark, onread }: SocketOptions): Socket | undefined {
  const holder = accepted as unknown as WithHandle;
  const handle = holder._handle;
  if (typeof handle?.useUserBuffer !== 'function') return undefined;
  holder._handle = null;
  accepted.destroy();
  return new Socket({ handle, onread, highWaterMark, manualStart: true, readable: true, writable: true } as ConstructorParameters<typeof Socket>[0]);
}
