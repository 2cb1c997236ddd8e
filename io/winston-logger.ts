/**
 * The real `Logger`: winston, one line per call, as JSON or for a reader's eyes. The level changes at run time
 * for all children. A reader that is too slow (a blocked pipe) costs lines, never memory: past the bound
 * lines are dropped, counted, and the count is logged once there is room again.
 */
import type { Writable } from 'node:stream';
import { createLogger, format as winstonFormat, transports } from 'winston';
import { safeFields, safeText } from './log-values.ts';
import type { LogFields, Logger } from './logger.ts';

export const logLevels = ['error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof logLevels)[number];
export type LogFormat = 'json' | 'pretty';

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Where lines go; standard output when left out. */
  readonly destination?: Writable;
  /** Bytes that may wait for a slow reader. */
  readonly waitingBytesLimit?: number;
  readonly fields?: LogFields;
}

export interface LevelledLogger extends Logger {
  level(): LogLevel;
  setLevel(level: LogLevel): void;
}

export function winstonLogger(options: LoggerOptions): LevelledLogger {
  const destination = options.destination ?? process.stdout;
  const waitingBytesLimit = options.waitingBytesLimit ?? 8 * 1024 * 1024;
  const render = options.format === 'json' ? jsonLine : prettyLine;
  // A reader that went away (EPIPE) must not end the broker.
  destination.on('error', () => {});
  const winston = createLogger({
    level: options.level,
    format: winstonFormat.printf(render),
    transports: [new transports.Stream({ stream: destination })],
  });
  let dropped = 0;

  function log(level: LogLevel, message: string, fields: LogFields): void {
    if (!winston.isLevelEnabled(level)) return;
    if (destination.destroyed || destination.writableLength > waitingBytesLimit) {
      dropped++;
      return;
    }
    if (dropped > 0) {
      winston.log({ level: 'warn', message: 'log lines dropped, their reader was too slow', fields: { lines: dropped } });
      dropped = 0;
    }
    winston.log({ level, message: safeText(message), fields: safeFields(fields) });
  }

  function withFields(own: LogFields): Logger {
    const at = (level: LogLevel) => (message: string, fields?: LogFields) => log(level, message, fields ? { ...own, ...fields } : own);
    return { error: at('error'), warn: at('warn'), info: at('info'), debug: at('debug'), child: (fields) => withFields({ ...own, ...fields }) };
  }

  return {
    ...withFields(options.fields ?? {}),
    level: () => winston.level as LogLevel,
    setLevel: (level) => {
      winston.level = level;
    },
  };
}

/** What we hand to winston; `fields` is our own property, so that no field can replace the level or the message. */
interface Line {
  readonly level: string;
  readonly message: unknown;
  readonly fields?: unknown;
}

function jsonLine({ level, message, fields }: Line): string {
  return JSON.stringify({ time: new Date().toISOString(), level, message, ...(fields as object) });
}

function prettyLine({ level, message, fields }: Line): string {
  const parts = Object.entries(fields as object).map(([name, value]) => `${name}=${prettyValue(value)}`);
  return [new Date().toISOString(), level.toUpperCase().padEnd(5), oneLine(String(message)), ...parts].join(' ');
}

/** Words stand as they are, everything else as JSON, so that a client's bytes can never look like another line. */
function prettyValue(value: unknown): string {
  return typeof value === 'string' && /^[\w.:/@+-]+$/.test(value) ? value : oneLine(JSON.stringify(value));
}

function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
