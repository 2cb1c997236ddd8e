/**
 * While a simulation runs, real time and real chance throw: code under simulation gets both from io only.
 * The trap also remembers what it caught, since a catch clause could swallow the error. Node's own code
 * (the test reporter's streams) may go on.
 */
import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import timers from 'node:timers';
import timersPromises from 'node:timers/promises';

export class RuntimeTrapError extends Error {
  override readonly name = 'RuntimeTrapError';
}

export interface RuntimeTrap {
  /** What touched the real runtime, with its stack. */
  readonly caught: readonly RuntimeTrapError[];
  release(): void;
}

type AnyFunction = (...args: unknown[]) => unknown;

export function setRuntimeTrap(): RuntimeTrap {
  const caught: RuntimeTrapError[] = [];
  const restore: (() => void)[] = [];
  const refuse = (name: string): never => {
    const error = new RuntimeTrapError(`${name} under simulation: use io instead`);
    caught.push(error);
    throw error;
  };
  const replace = (holder: object, property: string, replacement: (real: AnyFunction) => unknown) => {
    const before = Object.getOwnPropertyDescriptor(holder, property);
    if (before === undefined) return;
    const value = replacement(Reflect.get(holder, property) as AnyFunction);
    Object.defineProperty(holder, property, { configurable: true, enumerable: before.enumerable ?? true, writable: true, value });
    restore.push(() => Object.defineProperty(holder, property, before));
  };
  const trap = (holder: object, properties: readonly string[], prefix = '') => {
    for (const property of properties) {
      replace(
        holder,
        property,
        (real) =>
          function (this: unknown, ...args: unknown[]) {
            return calledByNode() ? (new.target ? Reflect.construct(real, args) : Reflect.apply(real, this, args)) : refuse(prefix + property);
          },
      );
    }
  };

  const timerNames = ['setTimeout', 'setInterval', 'setImmediate'];
  trap(globalThis, [...timerNames, 'WeakRef', 'FinalizationRegistry']);
  trap(timers, timerNames, 'timers.');
  trap(timersPromises, timerNames, 'timers/promises.');
  trap(crypto, ['randomBytes', 'randomUUID', 'randomInt', 'randomFill', 'randomFillSync'], 'crypto.');
  trap(Math, ['random'], 'Math.');
  trap(process, ['nextTick'], 'process.');
  trap(Object.getPrototypeOf(performance) as object, ['now'], 'performance.');
  trap(AbortSignal, ['timeout'], 'AbortSignal.');
  replace(process, 'hrtime', (real) => {
    const hrtime = (...args: unknown[]) => (calledByNode() ? real(...args) : refuse('process.hrtime'));
    const bigint = (real as unknown as { readonly bigint: AnyFunction }).bigint;
    return Object.assign(hrtime, { bigint: () => (calledByNode() ? bigint() : refuse('process.hrtime.bigint')) });
  });
  replace(globalThis, 'Date', (real) => trappedDate(real as unknown as DateConstructor, refuse));
  syncBuiltinESMExports();

  return {
    caught,
    release: () => {
      for (const undo of restore.splice(0).reverse()) undo();
      syncBuiltinESMExports();
    },
  };
}

/** `new Date(ms)` is arithmetic and stays; asking for the present is not. */
function trappedDate(real: DateConstructor, refuse: (name: string) => never): DateConstructor {
  const now = () => (calledByNode() ? real.now() : refuse('Date.now'));
  return new Proxy(real, {
    apply: (target) => (calledByNode() ? target() : refuse('Date()')),
    construct: (target, args: unknown[], newTarget) => {
      if (args.length === 0 && !calledByNode()) refuse('new Date()');
      return Reflect.construct(target, args, newTarget) as object;
    },
    get: (target, property) => (property === 'now' ? now : Reflect.get(target, property)),
  });
}

/** Whether the function that called the trapped one is Node's own. Stack: Error, this, the trap, its caller. */
function calledByNode(): boolean {
  const caller = new Error().stack?.split('\n')[3] ?? '';
  return caller.includes('node:');
}
