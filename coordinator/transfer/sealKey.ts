/**
 * The key of the seals: what bears one was exported from this store. It is kept in the store, which only root of the
 * cluster's nodes can read: whoever could forge a seal with it could forge a checkpoint as well.
 */
import { randomBytes } from 'node:crypto';
import { HoldfastError } from '../../core/errors';
import type { ObjectStore } from '../../store/contract';

const KEY = 'keys/export-seal';
const KEY_BYTES = 32;

/** null when nothing was ever exported from here. */
export async function findSealKey(store: ObjectStore): Promise<Buffer | null> {
  if ((await store.stat(KEY)) === null) return null;
  const key = await store.get(KEY);
  if (key.length === KEY_BYTES) return key;
  throw new HoldfastError(
    'CORRUPT',
    `${KEY} of ${store.description} has ${key.length} bytes, not ${KEY_BYTES}`,
    'delete it: root can still import what was exported with it',
  );
}

export async function sealKey(store: ObjectStore): Promise<Buffer> {
  const known = await findSealKey(store);
  if (known !== null) return known;
  const made = randomBytes(KEY_BYTES);
  return (await store.putIfAbsent(KEY, made)) ? made : store.get(KEY);
}
