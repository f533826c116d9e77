import { HoldfastError } from '../core/errors';
import type { ObjectStore } from './contract';

export type ReadBack = 'ours' | 'other' | 'missing';

/**
 * What a conditional create whose outcome is unknown left under the key (invariant C3). Callers that
 * compete for a key write different bytes, so equal bytes are ours.
 */
export async function readBack(
  store: Pick<ObjectStore, 'get'>,
  key: string,
  body: Uint8Array,
): Promise<ReadBack> {
  try {
    return (await store.get(key)).equals(body) ? 'ours' : 'other';
  } catch (error) {
    if (error instanceof HoldfastError && error.code === 'OBJECT_MISSING') return 'missing';
    throw error;
  }
}
