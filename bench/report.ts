/** The results as a Markdown table with ratios to Apache Kafka, and as an SVG picture. Pure: results in, text out. */
import { type BenchResults, type FigureInfo, figureInfos, medianOf, type TargetResults } from './results.ts';

const reference = 'kafka';

export function markdownTable(results: BenchResults): string {
  const { machine } = results;
  const rows = figureInfos.filter((figure) => results.targets.some((target) => medianOf(target, figure.name) !== undefined));
  const header = `| ${['', ...results.targets.map((target) => target.label)].join(' | ')} |`;
  return [
    `${results.date.slice(0, 10)}, commit ${machine.commit}, ${machine.cores} cores (${machine.cpu}) shared by client, broker and store, ${machine.memoryGiB} GiB, Linux ${machine.kernel}, Node ${machine.node}; load average before ${machine.loadAverage.toFixed(2)}; ${rounds(results)}${results.quick ? '; QUICK: seconds per load, no steady state' : ''}.`,
    '',
    header,
    `| --- |${' ---: |'.repeat(results.targets.length)}`,
    ...rows.map((figure) => `| ${figure.title}, ${figure.unit} | ${results.targets.map((target) => cell(results, target, figure)).join(' | ')} |`),
    '',
    `The disk by itself: ${results.diskFsyncedMBps.toFixed(0)} MB/s of 8 MiB writes, each followed by fdatasync. Apache Kafka does not fsync; this broker's folder store does.`,
    ...results.putObject.map(
      (put) => `One PutObject of ${size(put.sizeBytes)} through the AWS SDK to versitygw: p50 ${put.p50.toFixed(2)} ms, p99 ${put.p99.toFixed(2)} ms.`,
    ),
    ...results.targets.flatMap((target) => Object.entries(target.failures).map(([scenario, why]) => `**${target.label}, ${scenario}: ${why}**`)),
  ].join('\n');
}

function rounds(results: BenchResults): string {
  const most = Math.max(...results.targets.map((target) => Math.max(0, ...Object.values(target.figures).map((values) => values.length))));
  return `medians of ${most} alternating ${most === 1 ? 'run' : 'runs'}`;
}

function cell(results: BenchResults, target: TargetResults, figure: FigureInfo): string {
  const value = medianOf(target, figure.name);
  if (value === undefined) return '';
  const other = results.targets.find((candidate) => candidate.name === reference);
  const base = other && other !== target ? medianOf(other, figure.name) : undefined;
  const text = value.toLocaleString('en-US', { minimumFractionDigits: figure.digits, maximumFractionDigits: figure.digits });
  return base === undefined || base === 0 ? text : `${text} (${(value / base).toFixed(2)} ×)`;
}

function size(bytes: number): string {
  return bytes >= 1_048_576 ? `${bytes / 1_048_576} MiB` : `${bytes / 1024} KiB`;
}

const charted = ['produceMBps', 'smallRecordsPerS', 'wideMBps', 'tailMBps', 'coldMBps', 'produceCpuMsPerMB', 'ackP50Ms', 'peakMiB'];
const colours = ['#8a8f98', '#2563eb', '#0d9488', '#b45309'];

/** One group of bars per figure, each relative to the longest of its group; readable on light and dark ground. */
export function svgChart(results: BenchResults): string {
  const figures = figureInfos.filter(
    (figure) => charted.includes(figure.name) && results.targets.some((target) => medianOf(target, figure.name) !== undefined),
  );
  const [barHeight, gap, labelWidth, barWidth] = [16, 14, 250, 360];
  const groupHeight = results.targets.length * barHeight + gap;
  const height = 70 + figures.length * groupHeight;
  const parts = results.targets.map((target, index) => {
    const x = 20 + index * 230;
    return `<rect x="${x}" y="36" width="12" height="12" fill="${colours[index % colours.length]}"/><text x="${x + 18}" y="46">${escape(target.label)}</text>`;
  });
  figures.forEach((figure, row) => {
    const top = 66 + row * groupHeight;
    const values = results.targets.map((target) => medianOf(target, figure.name));
    const longest = Math.max(...values.map((value) => value ?? 0), Number.MIN_VALUE);
    const hint = figure.better === 'more' ? 'more is better' : 'less is better';
    parts.push(`<text x="20" y="${top + 13}">${escape(label(figure))}</text><text x="20" y="${top + 28}" class="hint">${hint}</text>`);
    values.forEach((value, index) => {
      if (value === undefined) return;
      const y = top + index * barHeight;
      const width = Math.max(1, (value / longest) * barWidth);
      const text = value.toLocaleString('en-US', { maximumFractionDigits: figure.digits });
      parts.push(
        `<rect x="${labelWidth}" y="${y}" width="${width.toFixed(1)}" height="${barHeight - 2}" fill="${colours[index % colours.length]}"/><text x="${(labelWidth + width + 6).toFixed(1)}" y="${y + 12}">${text}</text>`,
      );
    });
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="720" height="${height}" viewBox="0 0 720 ${height}" font-family="system-ui, sans-serif" font-size="12">`,
    '<style>text { fill: #555 } .hint { font-size: 10px; fill: #888 } @media (prefers-color-scheme: dark) { text { fill: #ccc } }</style>',
    `<text x="20" y="20" font-size="14">${escape(`Measured ${results.date.slice(0, 10)}, ${results.machine.cores} cores shared by everything, commit ${results.machine.commit}`)}</text>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

function label(figure: FigureInfo): string {
  return `${figure.name === 'produceCpuMsPerMB' ? 'broker CPU while producing' : figure.title}, ${figure.unit}`;
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
