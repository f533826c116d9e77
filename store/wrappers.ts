/** Small wrappers around the object store contract; each changes one thing. */
import { HoldfastError } from '../core/errors';
import { faultPoint } from '../core/faults';
import type { ObjectInfo, ObjectStore } from './contract';

/** The contract's functions, bound, so that a wrapper can replace some of them. */
export function functionsOf(store: ObjectStore): ObjectStore {
  return {
    description: store.description,
    put: (key, body, options) => store.put(key, body, options),
    putIfAbsent: (key, body) => store.putIfAbsent(key, body),
    get: (key, range, into) => store.get(key, range, into),
    stat: (key) => store.stat(key),
    list: (prefix) => store.list(prefix),
    delete: (key) => store.delete(key),
    open: () => store.open(),
    close: () => store.close(),
  };
}

/** Every key below `prefix`, without a slash at its end; the callers do not see it. */
export function withPrefix(store: ObjectStore, prefix: string): ObjectStore {
  const inside = (key: string) => `${prefix}/${key}`;
  const outside = (info: ObjectInfo) => ({ ...info, key: info.key.slice(prefix.length + 1) });
  return {
    ...functionsOf(store),
    description: `${store.description}, below ${prefix}/`,
    put: (key, body, options) => store.put(inside(key), body, options),
    putIfAbsent: (key, body) => store.putIfAbsent(inside(key), body),
    get: (key, range, into) => store.get(inside(key), range, into),
    stat: async (key) => {
      const info = await store.stat(inside(key));
      return info === null ? null : outside(info);
    },
    list: async function* (listed) {
      for await (const info of store.list(inside(listed))) yield outside(info);
    },
    delete: (key) => store.delete(inside(key)),
  };
}

/** The fault point store.put, before every write. */
export function withFaultPoints(store: ObjectStore): ObjectStore {
  return {
    ...functionsOf(store),
    put: async (key, body, options) => {
      faultPoint('store.put');
      await store.put(key, body, options);
    },
    putIfAbsent: async (key, body) => {
      faultPoint('store.put');
      return store.putIfAbsent(key, body);
    },
  };
}

/** Asks before each write, and again before each of its attempts if it is inside of the retries. @param admit throws: not written */
export function withGuard(store: ObjectStore, admit: (key: string) => Promise<void>): ObjectStore {
  return {
    ...functionsOf(store),
    put: async (key, body, options) => {
      await admit(key);
      await store.put(key, body, options);
    },
    putIfAbsent: async (key, body) => {
      await admit(key);
      return store.putIfAbsent(key, body);
    },
    delete: async (key) => {
      await admit(key);
      await store.delete(key);
    },
  };
}

const MARKER_KEY = 'holdfast-store.json';
const MARKER = Buffer.from('{"format":"holdfast-store","version":1}\n');

/**
 * Invariant C1 rests on conditional creates, and there are S3 servers that ignore the condition in silence. So open()
 * makes sure that a second create of the store's marker is refused.
 */
export function withConditionalCheck(store: ObjectStore): ObjectStore {
  return {
    ...functionsOf(store),
    open: async () => {
      await store.open();
      if (!(await store.putIfAbsent(MARKER_KEY, MARKER))) return;
      if (!(await store.putIfAbsent(MARKER_KEY, MARKER))) return;
      throw new HoldfastError(
        'STORE_REFUSED',
        `${store.description} ignores If-None-Match: two writers could both commit a generation`,
        'use a server with conditional writes, such as Ceph RADOS Gateway, MinIO or AWS S3',
      );
    },
  };
}
