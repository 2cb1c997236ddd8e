/** Apache Kafka's own console producer and consumer. */
import { kafkaTool } from '../lab/kafka.ts';
import type { CommandOptions } from '../lab/run-command.ts';
import { compressions, headers, type ReceivedRecord, type Reader, type Writer } from './client.ts';

export const javaWriter: Writer = {
  name: 'Java',
  compressions,
  setsTimestamps: false,
  write: async (bootstrap, topic, compression, records) => {
    const headerText = headers.map(([key, value]) => `${key}:${value}`).join(',');
    const stdin = records.map(({ key, value }) => `${headerText}\t${key}\t${value}\n`).join('');
    const reader = ['parse.key=true', 'parse.headers=true'].flatMap((property) => ['--reader-property', property]);
    await tool('kafka-console-producer', ['--bootstrap-server', bootstrap, '--topic', topic, '--compression-codec', compression, ...reader], { stdin });
  },
};

export const javaReader: Reader = {
  name: 'Java',
  compressions,
  read: async (bootstrap, topics, count) => {
    const formatter = ['timestamp', 'partition', 'offset', 'headers', 'key'].flatMap((field) => ['--formatter-property', `print.${field}=true`]);
    const options = ['--from-beginning', '--max-messages', String(count), '--timeout-ms', '20000'];
    const output = await tool('kafka-console-consumer', ['--bootstrap-server', bootstrap, '--include', topics.join('|'), ...options, ...formatter]);
    return output.split('\n').slice(0, -1).map(parseLine);
  },
};

/** `CreateTime:1\tPartition:0\tOffset:0\ttrace:ride-7,city:Köln\tkey\tvalue`; the formatter does not tell the topic. */
function parseLine(line: string): ReceivedRecord {
  const [time = '', partition = '', offset = '', headerText = '', key = '', value = ''] = line.split('\t');
  const after = (text: string) => Number(text.slice(text.indexOf(':') + 1));
  const pairs = headerText.split(',').map((pair) => pair.split(':') as [string, string]);
  return { topic: topicOf(key), partition: after(partition), offset: after(offset), timestampMs: after(time), headers: pairs, key, value };
}

/** Keys begin with the name of their topic. */
function topicOf(key: string): string {
  return key.split('/')[0] ?? '';
}

/** Answers standard output of a tool that must succeed. */
export async function tool(name: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await kafkaTool(name, args, options);
  if (code !== 0) throw new Error(`${name} ${args.join(' ')} ended with ${code}:\n${stderr}\n${stdout.slice(0, 2000)}`);
  return stdout;
}
