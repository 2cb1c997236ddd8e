/**
 * What many partitions over many brokers cost, as a table that shows how each figure grows: real `automq broker` processes on this machine.
 *
 *   node dist/bench/scale-cluster.js [--brokers 20] [--partitions 100000] [--quick] [--etcd] [--steps 3x1000,5x10000,20x100000]
 *     [--idle-seconds 70] [--profile NODE]   a CPU profile of that broker, in the folder that KEEP names
 *   KEEP=FOLDER keeps data and logs there.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { projectFolder } from '../test/lab/cache.ts';
import { describeMachine } from './machine.ts';
import { ManyBrokers } from './scale-cluster/cluster.ts';
import { type ScaleResults, scaleTable } from './scale-cluster/report.ts';
import { type Figures, measureStep, type StepSize } from './scale-cluster/step.ts';

const { values } = parseArgs({
  options: {
    brokers: { type: 'string', default: '20' },
    partitions: { type: 'string', default: '100000' },
    steps: { type: 'string' },
    quick: { type: 'boolean', default: false },
    etcd: { type: 'boolean', default: false },
    'idle-seconds': { type: 'string' },
    profile: { type: 'string' },
  },
});
const mostPartitionsOfTopic = 5_000;
// The image is compared with a full list every minute: that belongs to rest.
const idleSeconds = Number(values['idle-seconds'] ?? (values.quick ? 10 : 70));
/** Before rest, the checkpoints of what was written shall be over. */
const settleSeconds = values.quick ? 3 : 40;

const kept = process.env['KEEP'];
const workFolder = kept ? resolve(kept) : mkdtempSync(join(process.env['BENCH_FOLDER'] ?? tmpdir(), 'automq-scale-cluster-'));
if (!kept) process.once('exit', () => rmSync(workFolder, { recursive: true, force: true, maxRetries: 5 }));

const found: (StepSize & { figures: Figures; failure?: string })[] = [];
const machine = describeMachine();
const results: ScaleResults = { date: new Date().toISOString(), machine, metadata: values.etcd ? 'etcd' : 'embedded', steps: found };
const name = `scale-cluster${values.etcd ? '-etcd' : ''}${values.quick ? '-quick' : ''}`;
for (const size of sizes()) {
  const figures: Figures = {};
  const step: (typeof found)[number] = { ...size, figures };
  found.push(step);
  try {
    await measure(size, figures);
  } catch (error) {
    step.failure = error instanceof Error ? error.message.slice(0, 1_000) : String(error);
    console.error(`scale: FAILED: ${error instanceof Error ? error.stack : String(error)}`);
  }
  write();
}
console.log(scaleTable(results));
process.exit(found.some(({ failure }) => failure !== undefined) ? 1 : 0);

async function measure(size: StepSize, figures: Figures): Promise<void> {
  const folder = join(workFolder, `${size.brokers}x${size.partitions}`);
  const cluster = await ManyBrokers.start({ folder, brokers: size.brokers, etcd: values.etcd, nodeOptionsOf });
  try {
    await measureStep(
      cluster,
      { ...size, partitionsPerTopic: mostPartitionsOfTopic, settleSeconds, idleSeconds, toRecovery: values.profile !== undefined },
      figures,
    );
  } finally {
    await cluster.close(values.profile === undefined ? undefined : Number(values.profile));
    if (!kept) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

function sizes(): StepSize[] {
  if (values.steps !== undefined)
    return values.steps.split(',').map((step) => {
      const [brokers = 0, partitions = 0] = step.split('x').map(Number);
      return { brokers, partitions };
    });
  if (values.quick) return [{ brokers: 3, partitions: 1_000 }];
  const last = { brokers: Number(values.brokers), partitions: Number(values.partitions) };
  return [{ brokers: 3, partitions: 1_000 }, { brokers: 5, partitions: 10_000 }, last];
}

function nodeOptionsOf(node: number): readonly string[] {
  return String(node) === values.profile ? ['--cpu-prof', `--cpu-prof-dir=${workFolder}`, '--cpu-prof-interval=1000'] : [];
}

/** After every step: an interrupted run keeps what it has. */
function write(): void {
  const folder = join(projectFolder, 'bench', 'results');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(results, null, 1)}\n`);
  writeFileSync(join(folder, `${name}.md`), `${scaleTable(results)}\n`);
}
