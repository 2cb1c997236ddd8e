/** Reads figures from a broker's own /metrics (Prometheus text): sums over all labels of one name. */

/** What a benchmark takes from our broker, by the names of its counters. */
export const counterNames = {
  storeRequests: 'automq_object_store_requests_total',
  storeWrittenBytes: 'automq_object_store_written_bytes_total',
  storeReadBytes: 'automq_object_store_read_bytes_total',
  storeCostUsd: 'automq_object_store_cost_usd_total',
} as const;

export type CounterValues = Readonly<Record<keyof typeof counterNames, number | undefined>>;

export async function readCounters(url: string): Promise<CounterValues> {
  const text = await (await fetch(url)).text();
  return Object.fromEntries(Object.entries(counterNames).map(([key, name]) => [key, sumOf(text, name)])) as CounterValues;
}

/** undefined when no sample has that name. */
export function sumOf(text: string, name: string): number | undefined {
  let sum: number | undefined;
  for (const line of text.split('\n')) {
    if (!line.startsWith(name) || !/^[{ ]/.test(line.slice(name.length))) continue;
    sum = (sum ?? 0) + Number(line.slice(line.lastIndexOf(' ') + 1));
  }
  return sum;
}
