/** A schedule exists for exactly the jobs that run and want one. */
import { type Job, JobState } from '../../proto/gen/holdfast/v1/coordinator';
import type { Context } from '../context';

/** Follows the jobs' states; the result stops. */
export function followJobs({ jobs, queues, clock, log }: Context): () => void {
  const scheduled = new Set<string>();
  const follow = (job: Job) => {
    const isWanted = job.state === JobState.RUNNING && (job.spec?.intervalMs ?? 0) > 0;
    if (isWanted === scheduled.has(job.id)) return;
    if (isWanted) scheduled.add(job.id);
    else scheduled.delete(job.id);
    const change = isWanted ? queues.schedule(job, clock.wallMs()) : queues.unschedule(job.id);
    change.catch((err) => log.error({ job: job.id, err }, 'schedule not changed'));
  };
  for (const job of jobs.all()) follow(job);
  return jobs.changed.subscribe(follow);
}
