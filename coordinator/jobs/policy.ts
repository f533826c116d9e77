/** What becomes of a job that lost a node. Pure; the reason comes with the decision. */
import type { Job } from '../../proto/gen/holdfast/v1/coordinator';
import { RestartPolicy } from '../../proto/gen/holdfast/v1/manifest';
import { DEFAULT_MAX_RESTARTS } from './spec';

export interface LossDecision {
  readonly restart: boolean;
  readonly reason: string;
}

export function decideAfterLoss(job: Job, cause: string): LossDecision {
  const policy = job.spec?.restartPolicy;
  const maxRestarts = job.spec?.maxRestarts || DEFAULT_MAX_RESTARTS;
  if (policy !== RestartPolicy.SAME_NODES && policy !== RestartPolicy.ANY_NODES) {
    return { restart: false, reason: `${cause}; the job's restart policy is never` };
  }
  if (job.lastGeneration === 0) return { restart: false, reason: `${cause}; no checkpoint was committed` };
  if (job.restartCount >= maxRestarts) {
    return { restart: false, reason: `${cause}; it was restarted ${job.restartCount} times, the limit` };
  }
  return { restart: true, reason: `${cause}; restarting from generation ${job.lastGeneration}` };
}
