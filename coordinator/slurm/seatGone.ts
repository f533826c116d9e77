/** The Slurm step that a part of a job lived in has ended, and its processes with it. */
import { slurmJob } from '../../core/slurm/names';
import { type Job, JobState } from '../../proto/gen/holdfast/v1/coordinator';
import type { Context } from '../context';
import { killTrees } from '../jobs/kill';

/** An agent has told so. Returns when that is durable. */
export function handleSeatGone(context: Context, job: Job, node: string): Promise<void> {
  const task = context.jobs.get(job.id).spec?.slurm;
  const whose = task ? slurmJob(task) : 'its Slurm job';
  return stepIsGone(context, job, `its task on node ${node} was ended: ${whose} ended or was requeued`);
}

/** With a checkpoint it can go on in the next run of the script; without one its work is lost. Returns when that is durable. */
export async function stepIsGone(context: Context, { id, incarnation }: Job, cause: string): Promise<void> {
  const { clock, jobs, locks, running } = context;
  running.abortAllOf(id, { code: 'ABORTED', message: cause, remedy: '' });
  // Behind the operation in flight: if it is past its barrier, it may still commit a newer generation.
  await locks.run(id, async () => {
    const job = jobs.get(id);
    if (job.state !== JobState.RUNNING || job.incarnation !== incarnation) return;
    const state = job.lastGeneration > 0 ? JobState.STOPPED : JobState.FAILED;
    await jobs.update(id, () => ({ state, reason: cause, endedMs: clock.wallMs() }));
    await killTrees(context, id, 9);
    await jobs.update(id, () => ({ trees: [] }));
  });
}
