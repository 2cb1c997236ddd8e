/** A frame that breaks the protocol, or a value that the protocol cannot carry: closes the connection it came from or was meant for, nothing else. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
}
