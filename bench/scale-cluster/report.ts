/** The table: a row per figure, a column per size, and how the figure grew from the first size to the last. */
import type { Machine } from '../machine.ts';
import type { Figures, StepSize } from './step.ts';

export interface ScaleResults {
  readonly date: string;
  readonly machine: Machine;
  readonly metadata: 'embedded' | 'etcd';
  readonly steps: readonly (StepSize & { readonly figures: Figures; readonly failure?: string })[];
}

interface Row {
  readonly name: string;
  readonly title: string;
  readonly unit: 'ms' | 's' | 'MiB' | '%' | 'CPU-s' | '';
  readonly digits?: number;
}

const rows: readonly Row[] = [
  { name: 'metadataKeys', title: 'keys in the metadata store', unit: '' },
  { name: 'metadataBytes', title: 'keys and values', unit: 'MiB', digits: 2 },
  { name: 'metadataFileBytes', title: 'its file (etcd: its database)', unit: 'MiB', digits: 2 },
  { name: 'metadataKeysAfter', title: 'keys after a recovery, a restart and a drain', unit: '' },
  { name: 'metadataBytesAfter', title: 'keys and values then', unit: 'MiB', digits: 2 },
  { name: 'metadataFileBytesAfter', title: 'its file then', unit: 'MiB', digits: 2 },
  { name: 'writesPerSecond', title: 'metadata writes per second at rest', unit: '', digits: 2 },
  { name: 'idleCpu', title: 'CPU of a broker at rest', unit: '%', digits: 2 },
  { name: 'metadataCpu', title: 'CPU of the metadata store at rest', unit: '%', digits: 2 },
  { name: 'ownedPerBroker', title: 'partitions of a broker', unit: '' },
  { name: 'brokerMiB', title: 'memory of a broker (RSS, mean)', unit: 'MiB' },
  { name: 'brokerMostMiB', title: 'memory of the largest broker', unit: 'MiB' },
  { name: 'emptyMiB', title: 'memory of a broker without partitions', unit: 'MiB' },
  { name: 'metadataMiB', title: 'memory of the metadata store', unit: 'MiB' },
  { name: 'topicPartitions', title: 'partitions of a topic', unit: '' },
  { name: 'createMs', title: 'the first such topic is made in', unit: 'ms' },
  { name: 'createLastMs', title: 'the last such topic is made in', unit: 'ms' },
  { name: 'metadataAnswerMs', title: 'Metadata answer for such a topic', unit: 'ms' },
  { name: 'startMs', title: 'start of a broker without partitions: process to serving', unit: 'ms' },
  { name: 'startMsCpu', title: '… its CPU until then', unit: 'CPU-s', digits: 2 },
  { name: 'startImageMs', title: '… of it listing the metadata', unit: 'ms' },
  { name: 'startLifeMs', title: '… of it from registration to serving', unit: 'ms' },
  { name: 'recoverPartitions', title: 'partitions of a broker that is killed', unit: '' },
  { name: 'recoverMs', title: 'kill -9 to the last of them served by another', unit: 'ms' },
  { name: 'recoverOwnedMs', title: '… to the last of them owned by another', unit: 'ms' },
  { name: 'recoverSealMs', title: '… of it sealing', unit: 'ms' },
  { name: 'recoverTakeoverMs', title: 'the whole takeover by the controller', unit: 'ms' },
  { name: 'recoverControllerCpu', title: '… CPU of the controller for it', unit: 'CPU-s', digits: 2 },
  { name: 'recoverMetadataCpu', title: '… CPU of the metadata store for it', unit: 'CPU-s', digits: 2 },
  { name: 'drainPartitions', title: 'partitions of a broker that is drained', unit: '' },
  { name: 'drainMs', title: 'SIGTERM to the last of them served by another', unit: 'ms' },
  { name: 'drainOwnedMs', title: '… to the last of them owned by another', unit: 'ms' },
  { name: 'drainEndMs', title: 'SIGTERM to the end of its process', unit: 'ms' },
  { name: 'startAllMs', title: 'all killed and started at once: to the last broker serving', unit: 'ms' },
  { name: 'startAllServedMs', title: '… to the last partition served', unit: 'ms' },
  { name: 'startAllBrokerCpu', title: '… CPU of a broker for it', unit: 'CPU-s', digits: 2 },
  { name: 'startAllMetadataCpu', title: '… CPU of the metadata store for it', unit: 'CPU-s', digits: 2 },
];

export function scaleTable({ date, machine, metadata, steps }: ScaleResults): string {
  const titles = steps.map(({ brokers, partitions }) => `${brokers} brokers, ${partitions.toLocaleString('en-US')} partitions`);
  const first = steps[0]?.figures ?? {};
  const last = steps.at(-1)?.figures ?? {};
  return [
    '# What size costs',
    '',
    `Real broker processes over the folder store and ${metadata === 'etcd' ? 'etcd' : 'the embedded metadata store, in a process of its own'}; a record in every partition.`,
    `${date.slice(0, 10)}, ${machine.cores} × ${machine.cpu}, ${machine.memoryGiB} GiB, Node ${machine.node}, commit ${machine.commit}, load before the start ${machine.loadAverage.toFixed(1)}.`,
    'All brokers share these cores: times of steps with many brokers are upper bounds.',
    '',
    `| | ${titles.join(' | ')} | grew |`,
    `| --- |${' ---: |'.repeat(titles.length + 1)}`,
    ...rows
      .filter(({ name }) => steps.some(({ figures }) => figures[name] !== undefined))
      .map(
        (row) =>
          `| ${row.title}${row.unit ? `, ${row.unit}` : ''} | ${steps.map(({ figures }) => shown(row, figures[row.name])).join(' | ')} | ${growth(first[row.name], last[row.name])} |`,
      ),
    ...steps.flatMap(({ brokers, partitions, failure }) => (failure === undefined ? [] : ['', `**${brokers} brokers, ${partitions} partitions: ${failure}**`])),
  ].join('\n');
}

function shown({ name, digits = 0 }: Row, value: number | undefined): string {
  if (value === undefined) return '';
  const scaled = name.includes('Bytes') ? value / 1_048_576 : value;
  return scaled.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function growth(first: number | undefined, last: number | undefined): string {
  return first === undefined || last === undefined || first === 0 ? '' : `× ${(last / first).toFixed(1)}`;
}
