/** `automq up status|add|drain|…`: what is asked of a cluster that runs in another terminal, and what that terminal does with it. */
import { UsageError } from '../command.ts';
import { refusalText } from '../start-refusal.ts';
import { controlSocketPath } from './cluster-folder.ts';
import { askControl, type ControlAnswer, type ControlRequest } from './control-socket.ts';
import type { BrokerReport, LocalCluster } from './local-cluster.ts';
import { readControlOptions } from './up-options.ts';

interface ControlCommand {
  readonly takesNode: boolean;
  readonly run: (cluster: LocalCluster, node: number) => Promise<string>;
}

export const controlCommands: Readonly<Record<string, ControlCommand>> = {
  status: { takesNode: false, run: async () => '' },
  add: {
    takesNode: false,
    run: async (cluster) => {
      const node = await cluster.add();
      return `broker ${node} serves; bootstrap servers are now ${cluster.bootstrap}`;
    },
  },
  drain: {
    takesNode: true,
    run: async (cluster, node) => {
      await cluster.drain(node);
      return `broker ${node} is marked draining: its partitions move away, and it gets no new ones (automq up status shows how many are left)`;
    },
  },
  undrain: {
    takesNode: true,
    run: async (cluster, node) => {
      await cluster.undrain(node);
      return `broker ${node} is active again`;
    },
  },
  kill: {
    takesNode: true,
    run: async (cluster, node) => {
      await cluster.kill(node);
      return `broker ${node} was killed with SIGKILL and stays down (automq up restart ${node} starts it)`;
    },
  },
  stop: {
    takesNode: true,
    run: async (cluster, node) => {
      await cluster.stop(node);
      return `broker ${node} has ended and stays down (automq up restart ${node} starts it)`;
    },
  },
  restart: {
    takesNode: true,
    run: async (cluster, node) => {
      await cluster.restart(node);
      return `broker ${node} serves`;
    },
  },
};

/** In the terminal that asks. */
export async function runControlCommand(name: string, args: readonly string[]): Promise<number> {
  const command = controlCommands[name] as ControlCommand;
  const { data, json, named } = readControlOptions(args);
  const [node, ...more] = named;
  if (command.takesNode && !/^\d+$/.test(node ?? '')) throw new UsageError(`which broker? automq up ${name} N, as in: automq up ${name} 1`);
  if (more.length > 0 || (!command.takesNode && node !== undefined)) throw new UsageError(`${named.join(' ')}: too much for automq up ${name}`);
  try {
    const answer = await askControl(controlSocketPath(data), { command: name, ...(command.takesNode ? { node: Number(node) } : {}) });
    if (answer.kind === 'done') console.log(json ? JSON.stringify(answer.details ?? { text: answer.text }, null, 2) : answer.text);
    else console.error(`automq up ${name}: ${answer.text}`);
    return answer.kind === 'done' ? 0 : 1;
  } catch (error) {
    const text = refusalText(error);
    if (text === undefined) throw error;
    console.error(`automq up ${name}: ${text}`);
    return 1;
  }
}

export interface ClusterFacts {
  readonly metadataUrl: string;
  readonly data: string;
}

/** In the process that supervises the cluster. */
export async function answerControl({ command: name, node = -1 }: ControlRequest, cluster: LocalCluster, facts: ClusterFacts): Promise<ControlAnswer> {
  const command = Object.hasOwn(controlCommands, name) ? controlCommands[name] : undefined;
  if (!command) return { kind: 'refused', text: `this cluster knows no command ${name}: it may run another version` };
  try {
    const text = await command.run(cluster, node);
    if (name !== 'status') return { kind: 'done', text };
    const brokers = await cluster.report();
    return { kind: 'done', text: statusText(brokers, facts), details: { bootstrap: cluster.bootstrap, ...facts, pid: process.pid, brokers } };
  } catch (error) {
    const text = refusalText(error) ?? (error instanceof Error && error.name.startsWith('Meta') ? error.message : undefined);
    return { kind: 'refused', text: text ?? `a bug: ${error instanceof Error ? error.stack : String(error)}` };
  }
}

function statusText(brokers: readonly BrokerReport[], { metadataUrl, data }: ClusterFacts): string {
  const rows = brokers.map(({ node, address, state, registered, partitions, metricsUrl }) => [
    String(node),
    'why' in state ? `${state.kind} (${state.why})` : state.kind,
    'pid' in state ? String(state.pid) : '',
    address,
    registered === 'active' ? '' : (registered ?? ''),
    partitions === undefined ? '?' : String(partitions),
    metricsUrl ?? '',
  ]);
  const table = [['broker', 'state', 'pid', 'clients', 'mark', 'partitions', 'metrics'], ...rows];
  const widths = (table[0] as string[]).map((_, column) => Math.max(...table.map((row) => (row[column] ?? '').length)));
  const lines = table.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return [...lines, '', `data      ${data}`, `metadata  ${metadataUrl}`].join('\n');
}
