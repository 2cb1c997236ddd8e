/** Reads figures from a broker's own /metrics (Prometheus text): sums over all labels of one name. */

/** What a benchmark takes from our broker: the name of a counter, and what its labels must hold. */
const counters = {
  storeRequests: { name: 'automq_object_store_requests_total', label: '' },
  storeWrittenBytes: { name: 'automq_object_store_bytes_total', label: 'direction="written"' },
  storeReadBytes: { name: 'automq_object_store_bytes_total', label: 'direction="read"' },
} as const;

export type CounterValues = Readonly<Record<keyof typeof counters, number | undefined>>;

export async function readCounters(url: string): Promise<CounterValues> {
  const text = await (await fetch(url)).text();
  return Object.fromEntries(Object.entries(counters).map(([key, { name, label }]) => [key, sumOf(text, name, label)])) as CounterValues;
}

/** undefined when no sample has that name. */
export function sumOf(text: string, name: string, label = ''): number | undefined {
  let sum: number | undefined;
  for (const line of text.split('\n')) {
    if (!line.startsWith(name) || !/^[{ ]/.test(line.slice(name.length)) || !line.includes(label)) continue;
    sum = (sum ?? 0) + Number(line.slice(line.lastIndexOf(' ') + 1));
  }
  return sum;
}
