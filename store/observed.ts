/** A store whose requests are seen from outside: one observer for each request, which is told of its end. */
import { type HoldfastError, toHoldfastError } from '../core/errors';
import { attempt } from '../core/telemetry/attempt';
import type { ObjectStore } from './contract';
import { functionsOf } from './wrappers';

export type StoreRequest = 'put' | 'putIfAbsent' | 'get' | 'stat' | 'delete';

/** @param error null: it succeeded. @param bytes that were carried */
export type StoreRequestEnd = (error: HoldfastError | null, bytes: number) => void;

/** What it throws is dropped: a request must not fail, nor seem to have failed, because somebody looks. */
export type StoreObserver = (request: StoreRequest, key: string) => StoreRequestEnd;

const unseen: StoreRequestEnd = () => {};

function harmless(observer: StoreObserver): StoreObserver {
  return (request, key) => {
    const end = attempt(() => observer(request, key)) ?? unseen;
    return (error, bytes) => attempt(() => end(error, bytes));
  };
}

export function withObservers(store: ObjectStore, observers: readonly StoreObserver[]): ObjectStore {
  const watching = observers.map(harmless);
  async function observe<T>(
    request: StoreRequest,
    key: string,
    work: () => Promise<T>,
    bytesOf: (result: T) => number,
  ): Promise<T> {
    const ends = watching.map((observer) => observer(request, key));
    try {
      const result = await work();
      for (const end of ends) end(null, bytesOf(result));
      return result;
    } catch (thrown) {
      for (const end of ends) end(toHoldfastError(thrown), 0);
      throw thrown;
    }
  }
  const nothing = () => 0;
  return {
    ...functionsOf(store),
    put: (key, body, options) => {
      // Now: who gave the buffer may have taken it back when the request ends.
      const { length } = body;
      const put = () => store.put(key, body, options);
      return observe('put', key, put, () => length);
    },
    putIfAbsent: (key, body) => {
      const { length } = body;
      const put = () => store.putIfAbsent(key, body);
      return observe('putIfAbsent', key, put, (isNew) => (isNew ? length : 0));
    },
    get: (key, range, into) =>
      observe(
        'get',
        key,
        () => store.get(key, range, into),
        ({ length }) => length,
      ),
    stat: (key) => observe('stat', key, () => store.stat(key), nothing),
    delete: (key) => observe('delete', key, () => store.delete(key), nothing),
  };
}
