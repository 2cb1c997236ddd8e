/** kcat (librdkafka; Debian's is 2.0.2 from 2023, which makes it a good test). */
import { type CommandOptions, runCommand } from '../lab/run-command.ts';
import { compressions, headers, type ReceivedRecord, type Reader, type Writer } from './client.ts';

export const kcatWriter: Writer = {
  name: 'kcat',
  compressions,
  setsTimestamps: false,
  write: async (bootstrap, topic, compression, records) => {
    const stdin = records.map(({ key, value }) => `${key}\t${value}\n`).join('');
    await kcat(['-P', '-b', bootstrap, '-t', topic, '-K', '\t', '-z', compression, ...headers.flatMap(([key, value]) => ['-H', `${key}=${value}`])], { stdin });
  },
};

export const kcatReader: Reader = {
  name: 'kcat',
  compressions,
  read: async (bootstrap, topics) => {
    const records: ReceivedRecord[] = [];
    for (const topic of topics) {
      const output = await kcat(['-C', '-b', bootstrap, '-t', topic, '-o', 'beginning', '-e', '-q', '-f', '%p\t%o\t%T\t%h\t%k\t%s\n']);
      for (const line of output.split('\n').slice(0, -1)) {
        const [partition, offset, timestamp, headerText = '', key = '', value = ''] = line.split('\t');
        const pairs = headerText.split(',').map((pair) => pair.split('=') as [string, string]);
        records.push({ topic, partition: Number(partition), offset: Number(offset), timestampMs: Number(timestamp), headers: pairs, key, value });
      }
    }
    return records;
  },
};

/** Answers its standard output. */
export async function kcat(args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await runCommand('kcat', args, options);
  if (code !== 0) throw new Error(`kcat ${args.join(' ')} ended with ${code}: ${stderr}`);
  return stdout;
}
