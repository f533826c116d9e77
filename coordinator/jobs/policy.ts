/** What becomes of a job that lost a node. Pure; the reason comes with the decision. */
import { slurmJob } from '../../core/slurm/names';
import type { Job } from '../../proto/gen/holdfast/v1/coordinator';
import { RestartPolicy } from '../../proto/gen/holdfast/v1/manifest';
import type { GenerationChoice } from '../restart/generations';
import { seconds } from '../schedule/words';
import { DEFAULT_MAX_RESTARTS } from './spec';

export type LossDecision =
  | { readonly restart: false; readonly reason: string }
  | { readonly restart: true; readonly reason: string; readonly delayMs: number };

/** Whether the coordinator may restart the job by itself. */
export function isMovable(policy: RestartPolicy | undefined): boolean {
  return policy === RestartPolicy.SAME_NODES || policy === RestartPolicy.ANY_NODES;
}

export function decideAfterLoss(job: Job, cause: string, choice: GenerationChoice): LossDecision {
  const policy = job.spec?.restartPolicy;
  const maxRestarts = job.spec?.maxRestarts || DEFAULT_MAX_RESTARTS;
  const refuse = (reason: string) => ({ restart: false, reason: `${cause}; ${reason}` }) as const;
  if (job.spec?.slurm) return refuse(`${slurmJob(job.spec.slurm)} is what restarts it`);
  if (!isMovable(policy)) return refuse("the job's restart policy is never");
  if (job.restartCount >= maxRestarts) return refuse(`it was restarted ${job.restartCount} times, the limit`);
  if (choice.generation === null) return refuse(choice.reason);
  const delayMs = backoffMs(job.restartsSinceCommit, job.spec?.restartBackoffMs ?? 0);
  const wait =
    delayMs === 0
      ? ''
      : ` in ${seconds(delayMs)}: ${job.restartsSinceCommit} restarts since the last checkpoint`;
  return { restart: true, reason: `${cause}; restarting from ${choice.reason}${wait}`, delayMs };
}

const DEFAULT_BACKOFF_MS = 10_000;
export const MAX_BACKOFF_MS = 10 * 60_000;

/** A restart that did not live to its next checkpoint is tried again later each time. */
export function backoffMs(restartsSinceCommit: number, firstMs: number): number {
  if (restartsSinceCommit <= 0) return 0;
  return Math.min((firstMs || DEFAULT_BACKOFF_MS) * 2 ** (restartsSinceCommit - 1), MAX_BACKOFF_MS);
}
