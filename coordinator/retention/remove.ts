/** The end of one generation: its manifest first (G1); sweeps find the rest. */
import { faultPoint } from '../../core/faults';
import { manifestKey } from '../../core/manifest';
import type { Context } from '../context';
import { removeVerdict } from '../restart/verdicts';

/**
 * Under both of the job's locks.
 * @returns false: an export has begun to read it since the decision, and it stays
 */
export async function removeGeneration(
  {
    catalog,
    collecting,
    log,
    store,
    transfers,
  }: Pick<Context, 'catalog' | 'collecting' | 'log' | 'store' | 'transfers'>,
  job: string,
  { generation, ckptId }: { generation: number; ckptId: number },
  { cause, reason }: { readonly cause: 'policy' | 'request'; readonly reason: string },
): Promise<boolean> {
  if (transfers.exportedOf(job).has(generation)) return false;
  await store.delete(manifestKey(job, generation));
  faultPoint('coordinator.gc.manifest-deleted');
  await removeVerdict(store, job, generation);
  await catalog.remove(ckptId);
  collecting.removed.emit({ job, cause });
  log.info({ job, ckptId, generation, reason }, 'generation removed');
  return true;
}
