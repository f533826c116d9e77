/** Asks Slurm about our jobs, and does what follows. */
import { toHoldfastError } from '../../core/errors';
import { scontrol, squeue } from '../../core/slurm/scontrol';
import type { Context } from '../context';
import { isOpen, planSlurm, type SlurmStep } from './plan';
import { isUnknownJob, parseQueue, type Queue, queueArguments } from './queue';
import { stepIsGone } from './seatGone';
import type { SlurmSite } from './site';

/** @returns whether Slurm is in the middle of something: it is worth asking again soon */
export async function followJobs(context: Context, site: SlurmSite): Promise<boolean> {
  const { clock, jobs } = context;
  const open = jobs.all().filter((job) => isOpen(job, site));
  const ids = [...new Set(open.flatMap(({ spec }) => spec?.slurm?.jobId ?? []))];
  if (ids.length === 0) return false;
  const queue = await ask(ids);
  for (const step of planSlurm(open, queue, site, clock.wallMs())) await take(context, step);
  return ids.some((id) => queue.get(id)?.state === 'COMPLETING');
}

async function ask(ids: readonly number[]): Promise<Queue> {
  try {
    return parseQueue(await squeue(queueArguments(ids)));
  } catch (thrown) {
    if (isUnknownJob(toHoldfastError(thrown).message)) return new Map();
    throw thrown;
  }
}

async function take(context: Context, step: SlurmStep): Promise<void> {
  const { decisions, jobs, log } = context;
  switch (step.kind) {
    case 'begin':
      try {
        await scontrol(['update', `JobId=${step.jobId}`, 'StartTime=now']);
      } catch (err) {
        log.warn({ slurmJob: step.jobId, err }, 'a requeued Slurm job begins only when Slurm thinks so');
        return;
      }
      log.info({ slurmJob: step.jobId, reason: step.reason }, 'a requeued Slurm job begins');
      for (const id of step.jobs) decisions.note(id, 'restart', step.reason);
      return;
    case 'gone':
      return stepIsGone(context, step.job, step.reason);
    case 'over': {
      const { slurm, state } = { slurm: step.job.spec?.slurm, state: step.job.state };
      await jobs.update(step.job.id, (now) => {
        // Another run of it, or another Slurm job, has asked for it meanwhile.
        if (now.state !== state || now.spec?.slurm?.attempt !== slurm?.attempt || slurm === undefined)
          return {};
        return { ...step.change, spec: { ...now.spec, slurm: { ...slurm, ended: step.end } } };
      });
      log.info({ job: step.job.id, slurmJob: slurm?.jobId, end: step.end }, 'the Slurm job is over');
    }
  }
}
