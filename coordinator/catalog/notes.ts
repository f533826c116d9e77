/** Small objects that the store keeps beside the manifests, since losing Redis must not lose them (C4). */
import { toHoldfastError } from '../../core/errors';
import { parseJson } from '../../core/manifest';
import type { ObjectStore } from '../../store/contract';

export async function writeNote(store: ObjectStore, key: string, note: unknown): Promise<void> {
  await store.put(key, Buffer.from(`${JSON.stringify(note)}\n`));
}

/** null: there is none. @throws HoldfastError CORRUPT, STORE_UNAVAILABLE, STORE_REFUSED */
export async function readNote(store: ObjectStore, key: string): Promise<unknown> {
  try {
    return parseJson(await store.get(key), key);
  } catch (thrown) {
    if (toHoldfastError(thrown).code === 'OBJECT_MISSING') return null;
    throw thrown;
  }
}
