/** Has Slurm run the script again, at once. */
import { setTimeout as delay } from 'node:timers/promises';
import { toHoldfastError } from '../../core/errors';
import { note } from '../output/terminal';
import { scontrol } from './scontrol';

/** Slurm ends this process, with its step, soon after. */
const END_MS = 60_000;

/**
 * Slurm itself would wait for two minutes. Both requests go through one command: as soon as the first one is answered this step
 * is being ended. Returns only when that did not happen.
 */
export async function requeue(jobId: number): Promise<void> {
  try {
    await scontrol([], `requeue ${jobId}\nupdate JobId=${jobId} StartTime=now\n`);
    await delay(END_MS);
    note(`Slurm has not ended this run of job ${jobId}`);
  } catch (thrown) {
    note(`Slurm job ${jobId} could not be requeued: ${toHoldfastError(thrown).message}`);
  }
}
