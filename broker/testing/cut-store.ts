/** A store as one process sees it: once it is cut off, as by kill -9, no call comes back or has an effect, and no event arrives. */
import type { MetaStore, WatchHandler } from '../../io/meta/meta-store.ts';
import type { ObjectStore } from '../../io/object/object-store.ts';

/** What a test does instead of a call; `run` makes it. */
export type Fault<Asked, Answer> = (asked: Asked, run: () => Promise<Answer>) => Promise<Answer>;

export function cuttable<T extends ObjectStore | MetaStore>(
  store: T,
  signal: AbortSignal,
  faultOf: (name: string) => Fault<never, never> | undefined = () => undefined,
): T {
  const watch = (prefix: string, after: number, handler: WatchHandler) =>
    signal.aborted
      ? { close: () => Promise.resolve() }
      : (store as MetaStore).watch(prefix, after, {
          onEvents: (events, revision) => void (signal.aborted || handler.onEvents(events, revision)),
          onGap: () => void (signal.aborted || handler.onGap()),
        });
  return new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      if (name === 'watch') return watch;
      return (...call: unknown[]): unknown => {
        if (signal.aborted) return never;
        const run = () => Reflect.apply(member, target, call) as unknown;
        const fault = faultOf(String(name));
        const answer = fault ? fault(call[0] as never, run as never) : run();
        return answer instanceof Promise ? uncut(answer, signal) : answer;
      };
    },
  });
}

export const never = new Promise<never>(() => {});

async function uncut<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  try {
    const value = await answer;
    return signal.aborted ? await never : value;
  } catch (error) {
    if (signal.aborted) return never;
    throw error;
  }
}
