/** Waiting for storage without being bound to it: who is closed does not wait for a read or a write that may take minutes. */

/** Undefined when `signal` aborts first; what becomes of the promise then is not looked at. */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const onAbort = () => resolve(undefined);
    const stop = () => signal.removeEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(stop);
  });
}
