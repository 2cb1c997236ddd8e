/**
 * Fits the broker's memory into the container (design §11): heap, caches and bytes on their way add up to at most 85 % of
 * the limit, or the start is refused with the sum. Buffers lie outside V8's heap, so they come on top of it. The heap is
 * taken as V8 has it: its limit cannot be changed after the start (measured on Node 20, 22 and 24: v8.setFlagsFromString has
 * no effect), and V8 derives it from the container by itself; `NODE_OPTIONS=--max-old-space-size=MiB` is how to choose another.
 */

export interface MemoryPart {
  /** The setting's key. */
  readonly key: string;
  readonly bytes: number;
  /** Somebody chose this value: it is kept as it is. */
  readonly explicit: boolean;
  /** Below this the broker does not work well. */
  readonly leastBytes: number;
}

export interface MemoryRequest {
  readonly limitBytes: number;
  readonly heapBytes: number;
  readonly parts: readonly MemoryPart[];
}

export type MemoryPlan =
  | { readonly kind: 'fits'; readonly bytesByKey: ReadonlyMap<string, number>; readonly sumBytes: number; readonly budgetBytes: number }
  | { readonly kind: 'refused'; readonly text: string };

const budgetShare = 0.85;
const mib = 1_048_576;
/** What a merge holds while it writes an object (`broker/log-limits.ts`); no setting changes it. */
const mergeBytes = 32 * mib;
/** What grows with a part, per byte of it: the sparse indexes of the objects that cached blocks lie in (`broker/log/stored-log-reader.ts`). */
const besides: ReadonlyMap<string, number> = new Map([['block.cache.bytes', 1 / 32]]);

/** Keeps what was chosen and shrinks the rest by one common factor, each not below its least. */
export function planMemory({ limitBytes, heapBytes, parts }: MemoryRequest): MemoryPlan {
  const budgetBytes = Math.floor(limitBytes * budgetShare);
  const fixedBytes = heapBytes + mergeBytes + sum(parts.filter((part) => part.explicit).map(({ key, bytes }) => withBesides(key, bytes)));
  const flexible = parts.filter((part) => !part.explicit);
  const shrunk = shrink(flexible, budgetBytes - fixedBytes);
  const bytesByKey = new Map(parts.map((part) => [part.key, part.explicit ? part.bytes : (shrunk.get(part.key) ?? part.leastBytes)]));
  const sumBytes = heapBytes + mergeBytes + sum([...bytesByKey].map(([key, bytes]) => withBesides(key, bytes)));
  if (sumBytes > budgetBytes) return { kind: 'refused', text: refusal({ limitBytes, budgetBytes, heapBytes, bytesByKey, sumBytes }) };
  return { kind: 'fits', bytesByKey, sumBytes, budgetBytes };
}

/** Parts that hit their least are set aside, and the others share what is left, until nothing changes. */
function shrink(parts: readonly MemoryPart[], availableBytes: number): Map<string, number> {
  const bytesByKey = new Map<string, number>();
  let open = parts;
  for (;;) {
    const left = availableBytes - sum([...bytesByKey].map(([key, bytes]) => withBesides(key, bytes)));
    const factor = Math.min(1, Math.max(0, left / Math.max(1, sum(open.map(({ key, bytes }) => withBesides(key, bytes))))));
    const tooSmall = open.filter((part) => part.bytes * factor < Math.min(part.bytes, part.leastBytes));
    if (tooSmall.length === 0) {
      for (const part of open) bytesByKey.set(part.key, Math.floor(part.bytes * factor));
      return bytesByKey;
    }
    for (const part of tooSmall) bytesByKey.set(part.key, Math.min(part.bytes, part.leastBytes));
    open = open.filter((part) => !tooSmall.includes(part));
  }
}

interface Refusal {
  readonly limitBytes: number;
  readonly budgetBytes: number;
  readonly heapBytes: number;
  readonly bytesByKey: ReadonlyMap<string, number>;
  readonly sumBytes: number;
}

function refusal({ limitBytes, budgetBytes, heapBytes, bytesByKey, sumBytes }: Refusal): string {
  const parts = [...bytesByKey].map(([key, bytes]) => [key, withBesides(key, bytes)] as const);
  const rows = [['heap (NODE_OPTIONS=--max-old-space-size)', heapBytes] as const, ...parts, ['merging', mergeBytes] as const].map(
    ([name, bytes]) => `  ${inMib(bytes).padStart(8)}  ${name}`,
  );
  return [
    `not enough memory: at most ${inMib(budgetBytes)} of ${inMib(limitBytes)} may be planned (85 %, the rest is for Node itself), but the parts add up to ${inMib(sumBytes)}:`,
    ...rows,
    'Give the container more memory, or lower one of these.',
  ].join('\n');
}

function withBesides(key: string, bytes: number): number {
  return Math.ceil(bytes * (1 + (besides.get(key) ?? 0)));
}

function inMib(bytes: number): string {
  return `${Math.ceil(bytes / mib)} MiB`;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
