/**
 * How far V8 lets its heap grow before it marks all of it anew. It counts the buffers outside the heap as growth, too, so a broker
 * with 20 MB of objects that turns over hundreds of megabytes of buffers a second was marked every 12 to 20 MB, on threads
 * that no JavaScript profile shows: a third to a half of its CPU (docs/performance.md).
 */
import { setFlagsFromString } from 'node:v8';

/** The heap may reach (1 + this/100) times what was alive: V8's own choice for programs that allocate little, always. */
const growingPercent = 300;
/** Of V8; Node 20, 22 and 24 have it, and it is looked at on every collection. */
export const growthFlag = '--heap-growing-percent';

export function letHeapGrow(): void {
  setFlagsFromString(`${growthFlag}=${growingPercent}`);
}
