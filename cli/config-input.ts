/**
 * A broker's configuration for a command: file, environment and flags, then the memory plan for what nobody chose.
 * Problems come as text for people: every one of them, not only the first.
 */
import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import v8 from 'node:v8';
import { type BrokerConfig, parseConfig } from '../broker/config.ts';
import { type MemoryPart, planMemory } from './memory-plan.ts';

const heapShare = 0.4;

export interface ConfigRequest {
  /** Path of a properties file. */
  readonly file: string | undefined;
  readonly flags: readonly string[];
  /** So many brokers, each a process of its own, share this machine's memory. Without it, this process is the only one. */
  readonly brokers?: number;
}

export type ConfigResult =
  | {
      readonly kind: 'config';
      readonly config: BrokerConfig;
      readonly warnings: readonly string[];
      /** Settings that were fitted into the memory, as flags. */
      readonly planned: readonly string[];
      /** What V8's heap may take, as planned. */
      readonly heapBytes: number;
    }
  | { readonly kind: 'refused'; readonly text: string };

export function readConfig({ file, flags, brokers = 1 }: ConfigRequest): ConfigResult {
  const content = file === undefined ? undefined : readConfigFile(file);
  if (content instanceof Error) return { kind: 'refused', text: `cannot read the configuration file ${file}: ${content.message}` };
  const input = { ...(content === undefined ? {} : { file: content }), env: brokerEnvironment(process.env) };
  const asked = parseConfig({ ...input, flags });
  if (asked.kind === 'invalid')
    return { kind: 'refused', text: ['the configuration is not valid:', ...asked.problems.map((problem) => `  ${problem}`)].join('\n') };
  const parts = memoryParts(asked.config);
  const limitBytes = memoryLimit() / brokers;
  const heapBytes = brokers === 1 ? v8.getHeapStatistics().heap_size_limit : heapOfOne(limitBytes);
  const plan = planMemory({ limitBytes, heapBytes, parts });
  if (plan.kind === 'refused') return { kind: 'refused', text: plan.text };
  const planned = parts.filter((part) => plan.bytesByKey.get(part.key) !== part.bytes).map((part) => `--${part.key}=${plan.bytesByKey.get(part.key)}`);
  const fitted = parseConfig({ ...input, flags: [...flags, ...planned] });
  if (fitted.kind === 'invalid')
    return { kind: 'refused', text: ['the container has too little memory:', ...fitted.problems.map((problem) => `  ${problem}`)].join('\n') };
  return { kind: 'config', config: fitted.config, warnings: fitted.warnings, planned, heapBytes };
}

/** V8 takes it from the whole machine; one of several brokers gets a share of its own part. */
function heapOfOne(limitBytes: number): number {
  const mib = 1_048_576;
  return Math.min(v8.getHeapStatistics().heap_size_limit, Math.max(256 * mib, Math.floor((limitBytes * heapShare) / mib) * mib));
}

/** Variables of our own tests are no settings. */
function brokerEnvironment(env: Readonly<Record<string, string | undefined>>): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/^AUTOMQ_(?:TEST|FUZZ|SIM)_/.test(name)));
}

/** What the container, else the machine, has. */
function memoryLimit(): number {
  const constrained = process.constrainedMemory();
  return constrained > 0 && constrained < totalmem() ? constrained : totalmem();
}

function memoryParts(config: BrokerConfig): MemoryPart[] {
  const mib = 1_048_576;
  const part = (key: string, bytes: number, leastBytes: number): MemoryPart => ({ key, bytes, leastBytes, explicit: config.layers.has(key) });
  return [
    part('log.cache.bytes', config.logCacheBytes, 8 * mib),
    part('block.cache.bytes', config.blockCacheBytes, 8 * mib),
    part('upload.max.bytes', config.uploadMaxBytes, 2 * config.walGroupMaxBytes),
    part('queued.max.request.bytes', config.queuedMaxRequestBytes, config.socketRequestMaxBytes),
    part('queued.max.response.bytes', config.queuedMaxResponseBytes, 16 * mib),
  ];
}

function readConfigFile(path: string): string | Error {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
