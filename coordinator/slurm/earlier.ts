/**
 * Which job of an earlier run of a batch script a command is. A script that is run again asks for its jobs in the same
 * order: of those with the same command the first counts that this run has not asked for yet (T4). Pure.
 */
import { type Job, JobState } from '../../proto/gen/holdfast/v1/coordinator';
import type { SlurmTask } from '../../proto/gen/holdfast/v1/manifest';
import { isEnded } from '../state/jobs';

const byAge = (a: Job, b: Job): number => a.createdMs - b.createdMs || (a.id < b.id ? -1 : 1);

const isOf = (job: Job, uid: number, key: string): boolean =>
  job.spec?.uid === uid && job.spec.slurm?.key === key && job.spec.slurm.supersededBy === '';

export function earlierRun(jobs: readonly Job[], uid: number, task: SlurmTask): Job | undefined {
  const isSame = ({ spec }: Job) =>
    spec?.slurm?.cluster === task.cluster &&
    spec.slurm.jobId === task.jobId &&
    spec.slurm.restartCount < task.restartCount;
  return jobs
    .filter((job) => isOf(job, uid, task.key) && isSame(job))
    .sort(byAge)
    .at(0);
}

/** The job of a request that is asked again; one that could not be started is not it. */
export const sameAttempt = (jobs: readonly Job[], uid: number, { attempt }: SlurmTask): Job | undefined =>
  jobs.find(
    ({ spec, state }) =>
      attempt !== '' && state !== JobState.FAILED && spec?.uid === uid && spec.slurm?.attempt === attempt,
  );

/** For `--resume auto`: the newest that has ended before its time and can go on. */
export function newestResumable(jobs: readonly Job[], uid: number, key: string): Job | undefined {
  return jobs
    .filter((job) => isOf(job, uid, key) && isEnded(job) && job.state !== JobState.COMPLETED)
    .filter(({ lastGeneration }) => lastGeneration > 0)
    .sort(byAge)
    .at(-1);
}
