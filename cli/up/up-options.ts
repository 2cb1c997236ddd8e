/** What `automq up` is asked for: its own options apart, all others are settings of the brokers. */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { UsageError } from '../command.ts';

export interface UpOptions {
  readonly port: number;
  readonly data: string;
  readonly file: string | undefined;
  readonly quiet: boolean;
  /** Of a cluster of several processes; undefined: one broker in this process. */
  readonly brokers: number | undefined;
  /** A metadata store that is not ours: etcd://… */
  readonly etcd: string | undefined;
  readonly settings: readonly string[];
}

const own = {
  port: { type: 'string', default: '9092' },
  data: { type: 'string', default: 'data' },
  config: { type: 'string' },
  quiet: { type: 'boolean', default: false },
  brokers: { type: 'string' },
  etcd: { type: 'string' },
} as const;

/** Each broker of several has its own value of these. */
const perBroker = ['node.id', 'broker.id', 'listeners', 'advertised.listeners', 'metrics.listener', 'internal.listener'];

export function readUpOptions(args: readonly string[]): UpOptions {
  const isOwn = (arg: string, index: number) =>
    /^--(?:port|data|config|quiet|brokers|etcd)(?:=|$)/.test(arg) || /^--(?:port|data|config|brokers|etcd)$/.test(args[index - 1] ?? '');
  const { values } = parseArgs({ args: args.filter(isOwn), options: own });
  const settings = args.filter((arg, index) => !isOwn(arg, index));
  const port = numberFrom('port', values.port, 65_535);
  const brokers = values.brokers === undefined ? (values.etcd === undefined ? undefined : 1) : numberFrom('brokers', values.brokers, 100);
  if (brokers !== undefined) checkShared(settings);
  if (brokers !== undefined && port + brokers - 1 > 65_535) throw new UsageError(`--port ${port}: ${brokers} brokers need as many ports from there on`);
  return { port, data: resolve(values.data), file: values.config, quiet: values.quiet, brokers, etcd: etcdUrl(values.etcd), settings };
}

/** `--data FOLDER`, and whatever else a command of a running cluster takes. */
export function readControlOptions(args: readonly string[]): { readonly data: string; readonly json: boolean; readonly named: readonly string[] } {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { data: { type: 'string', default: 'data' }, json: { type: 'boolean', default: false } },
    allowPositionals: true,
  });
  return { data: resolve(values.data), json: values.json, named: positionals };
}

function numberFrom(option: string, text: string, most: number): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1 || number > most) throw new UsageError(`--${option} ${text}: a number from 1 to ${most}`);
  return number;
}

function checkShared(settings: readonly string[]): void {
  for (const setting of settings) {
    const key = /^--([^=]+)/.exec(setting)?.[1] ?? '';
    if (perBroker.includes(key)) throw new UsageError(`${setting}: each of several brokers has its own; --port says where they begin`);
    if (key === 'metadata.url') throw new UsageError(`${setting}: with several brokers, name a metadata store of your own with --etcd`);
    if (key === 'data.folder') throw new UsageError(`${setting}: with several brokers, name the folder with --data`);
  }
}

/** Host and port alone will do. */
function etcdUrl(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  if (/^etcds?:\/\//.test(text)) return text;
  if (/^https?:\/\//.test(text)) return text.replace(/^http/, 'etcd');
  return `etcd://${text}`;
}
