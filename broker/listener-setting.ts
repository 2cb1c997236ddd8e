/** `listeners` and `advertised.listeners`: lists of `NAME://host:port`, as Kafka writes them. */
import { splitList, type ParsedValue } from './config-value.ts';

export interface ListenerSetting {
  /** Listener name, upper case; it names the security protocol, too, while only PLAINTEXT exists. */
  readonly name: string;
  /** Empty: all addresses. */
  readonly host: string;
  readonly port: number;
}

export function readListeners(text: string): ParsedValue<readonly ListenerSetting[]> {
  const listeners: ListenerSetting[] = [];
  for (const item of splitList(text)) {
    const match = /^([A-Za-z][A-Za-z0-9_]*):\/\/(\[[0-9a-fA-F:.%]+\]|[^:/\s]*):(\d{1,5})$/.exec(item);
    const port = Number(match?.[3]);
    if (match == null || port > 65_535) return { kind: 'problem', problem: `'${item}' is not protocol://host:port` };
    const name = match[1]!.toUpperCase();
    if (listeners.some((other) => other.name === name)) return { kind: 'problem', problem: `Each listener must have a different name, listeners: ${text}` };
    if (port !== 0 && listeners.some((other) => other.port === port))
      return { kind: 'problem', problem: `Each listener must have a different port, listeners: ${text}` };
    listeners.push({ name, host: match[2]!.replace(/^\[(.*)\]$/, '$1'), port });
  }
  return listeners.length === 0 ? { kind: 'problem', problem: 'At least one listener is needed' } : { kind: 'value', value: listeners };
}

/** Refuses every protocol but PLAINTEXT: TLS that is asked for and not there must not be silent. */
export function readPlainProtocolMap(text: string): ParsedValue<readonly string[]> {
  const names: string[] = [];
  for (const item of splitList(text)) {
    const match = /^([A-Za-z][A-Za-z0-9_]*):([A-Z_]+)$/.exec(item);
    if (match == null) return { kind: 'problem', problem: `'${item}' is not NAME:PROTOCOL` };
    if (match[2] !== 'PLAINTEXT' && !/^(SSL|SASL_PLAINTEXT|SASL_SSL)$/.test(match[1]!)) {
      return { kind: 'problem', problem: `Security protocol ${match[2]} is not supported yet; only PLAINTEXT is` };
    }
    if (match[2] === 'PLAINTEXT') names.push(match[1]!.toUpperCase());
  }
  return { kind: 'value', value: names };
}
