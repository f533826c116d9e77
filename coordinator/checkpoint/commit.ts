/** The one write that makes a generation exist (C1), and finding out whether it was ours (C3). */
import { HoldfastError, toHoldfastError } from '../../core/errors';
import { decodeManifest, manifestKey } from '../../core/manifest';
import type { ObjectStore } from '../../store/contract';
import { type Failure, failureOf } from '../operations/failure';

export interface CommitOutcome {
  readonly outcome: 'ours' | 'others' | 'refused' | 'unknown';
  readonly failure: Failure | null;
}

/**
 * Writes the manifest unless the generation exists. The same text may be written again after an unknown outcome:
 * the condition makes all attempts of one epoch together write it once.
 */
export async function commitManifest(
  store: ObjectStore,
  target: { job: string; generation: number; epoch: number },
  text: string,
): Promise<CommitOutcome> {
  const key = manifestKey(target.job, target.generation);
  try {
    if (await store.putIfAbsent(key, Buffer.from(text))) return { outcome: 'ours', failure: null };
    const found = decodeManifest(await store.get(key), key);
    if (found.header?.epoch === target.epoch) return { outcome: 'ours', failure: null };
    const cause = `generation ${target.generation} of job ${target.job} exists already, with epoch ${found.header?.epoch}`;
    return { outcome: 'others', failure: failureOf(new HoldfastError('ABORTED', cause)) };
  } catch (thrown) {
    const error = toHoldfastError(thrown);
    const isRefused = error.code === 'STORE_REFUSED';
    return { outcome: isRefused ? 'refused' : 'unknown', failure: failureOf(error) };
  }
}
