/**
 * Slurm ends the job's processes as soon as it has taken a requeue in, and sets the time at which it begins again when they are gone:
 * two minutes later. So somebody outside of the job has to say "now" after that.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { HoldfastError } from '../../core/errors';
import { jobIdOf, slurmJob } from '../../core/slurm/names';
import { type As, scontrol, slurmJobState } from '../../core/slurm/scontrol';

const POLL_MS = 300;
const ENDING_MS = 120_000;

/**
 * With the rights of the job's user, who may do the same.
 * @throws HoldfastError INTERNAL with Slurm's words when it is refused
 */
export async function requeue(seat: string, as: As, log: Logger): Promise<void> {
  const jobId = jobIdOf(seat);
  const { name } = await slurmJobState(jobId, as);
  await scontrol(['requeue', name], as);
  log.info({ seat }, 'requeued');
  beginAgain(jobId, as).catch((err) => log.warn({ seat, err }, 'the requeued job does not begin at once'));
}

async function beginAgain(jobId: number, as: As): Promise<void> {
  for (let waitedMs = 0; waitedMs < ENDING_MS; waitedMs += POLL_MS) {
    const { name, state } = await slurmJobState(jobId, as);
    if (state === 'PENDING') {
      await scontrol(['update', `JobId=${name}`, 'StartTime=now'], as);
      return;
    }
    // It has begun again already, or was cancelled.
    if (state !== 'COMPLETING') return;
    await delay(POLL_MS);
  }
  throw new HoldfastError('TIMEOUT', `the processes of ${slurmJob({ jobId })} do not end`);
}
