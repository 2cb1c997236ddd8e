/** The server's side of a connection in memory: a test feeds bytes, reads what was written, and plays a slow reader. */
import type { Connection, ConnectionHandler } from '../../../io/transport.ts';

export class FakeSocket implements Connection {
  readonly remote: string;
  reading = true;
  /** Gracefully by `end`, at once by `destroy`. */
  closed: 'no' | 'ended' | 'destroyed' = 'no';
  /** One entry per call of `write`. */
  readonly writes: Buffer[] = [];
  /** When false, what is written stays in the queue until `drain`. */
  fastReader = true;
  private queuedBytes = 0;
  private handler: ConnectionHandler | undefined;

  constructor(remote = '10.0.0.1:5000') {
    this.remote = remote;
  }

  setHandler(handler: ConnectionHandler): void {
    this.handler = handler;
  }

  write(chunks: readonly Uint8Array[]): boolean {
    const bytes = Buffer.concat(chunks);
    this.writes.push(bytes);
    if (!this.fastReader) this.queuedBytes += bytes.length;
    return this.fastReader;
  }

  pendingWriteBytes(): number {
    return this.queuedBytes;
  }

  pauseReading(): void {
    this.reading = false;
  }

  resumeReading(): void {
    this.reading = true;
  }

  end(): void {
    this.closed = 'ended';
    this.handler?.onClose();
  }

  destroy(): void {
    this.closed = 'destroyed';
    this.handler?.onClose();
  }

  /** The client sends. The chunk is a buffer of its own, as from a real socket. */
  receive(bytes: Uint8Array): void {
    this.handler?.onData(Buffer.from(Uint8Array.prototype.slice.call(bytes).buffer));
  }

  drain(): void {
    this.queuedBytes = 0;
    this.handler?.onDrain();
  }

  /** The client went away. */
  hangUp(): void {
    this.closed = 'destroyed';
    this.handler?.onClose();
  }

  /** All frames written so far, without their sizes. */
  frames(): Buffer[] {
    const bytes = Buffer.concat(this.writes);
    const frames: Buffer[] = [];
    for (let position = 0; position < bytes.length; ) {
      const size = bytes.readInt32BE(position);
      frames.push(bytes.subarray(position + 4, position + 4 + size));
      position += 4 + size;
    }
    return frames;
  }
}
