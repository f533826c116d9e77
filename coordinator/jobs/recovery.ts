/** Jobs that a coordinator finds at its start in a state between two others. */
import { JobState } from '../../proto/gen/holdfast/v1/coordinator';
import type { Context } from '../context';
import { applyLoss } from './loss';

/** After the operations were recovered and before any new one begins. */
export async function recoverJobs(context: Context): Promise<void> {
  const { jobs, operations, locks } = context;
  for (const { id, state } of jobs.all()) {
    // The answer to its launch is lost; its node says whether it hosts it.
    if (state === JobState.STARTING) await jobs.update(id, () => ({ state: JobState.RUNNING }));
    if (state !== JobState.RESTARTING || operations.openOf(id).length > 0) continue;
    // The decision to restart was stored, the operation not.
    await locks.run(id, () => applyLoss(context, jobs.get(id), 'a restart was interrupted'));
  }
}
