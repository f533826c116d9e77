/** What failed restarts say of generations, as the store keeps it: losing Redis takes none out of quarantine (C4). */
import { z } from 'zod';
import type { CheckpointSummary } from '../../proto/gen/holdfast/v1/coordinator';
import type { ObjectStore } from '../../store/contract';
import { readNote, writeNote } from '../catalog/notes';

export type Verdict = Pick<CheckpointSummary, 'failedRestarts' | 'quarantine'>;

/** With the epoch: after a loss of Redis a number may be given again whose generation was removed. */
const verdictSchema = z.object({ epoch: z.number(), failedRestarts: z.number(), quarantine: z.string() });

function verdictKey(job: string, generation: number): string {
  return `quarantine/${job}/${String(generation).padStart(10, '0')}.json`;
}

export async function saveVerdict(
  store: ObjectStore,
  { job, generation, epoch, failedRestarts, quarantine }: CheckpointSummary,
): Promise<void> {
  if (failedRestarts === 0) await removeVerdict(store, job, generation);
  else await writeNote(store, verdictKey(job, generation), { epoch, failedRestarts, quarantine });
}

export async function removeVerdict(store: ObjectStore, job: string, generation: number): Promise<void> {
  await store.delete(verdictKey(job, generation));
}

/** @throws HoldfastError CORRUPT, STORE_UNAVAILABLE, STORE_REFUSED */
export async function savedVerdict(
  store: ObjectStore,
  { job, generation, epoch }: Pick<CheckpointSummary, 'job' | 'generation' | 'epoch'>,
): Promise<Verdict | null> {
  const { success, data } = verdictSchema.safeParse(await readNote(store, verdictKey(job, generation)));
  if (!success || data.epoch !== epoch) return null;
  const { failedRestarts, quarantine } = data;
  return { failedRestarts, quarantine };
}
