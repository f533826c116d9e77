/** What a lost node means for the jobs that had trees there. */
import { type Job, JobState } from '../../proto/gen/holdfast/v1/coordinator';
import type { Context } from '../context';
import { enqueueOperation } from '../operations/enqueue';
import { chooseGeneration } from '../restart/generations';
import { hasMain, nodesOf } from '../state/jobs';
import { killTrees } from './kill';
import { decideAfterLoss } from './policy';

/** Restarts and starts in flight see the loss by their own commands. */
export async function nodeLost(context: Context, node: string): Promise<void> {
  const affected = context.jobs
    .all()
    .filter((job) => job.state === JobState.RUNNING && job.trees.some((tree) => tree.node === node));
  await Promise.all(affected.map((job) => handleLoss(context, job.id, job.incarnation, nodeCause(node))));
}

export const nodeCause = (node: string): string => `node ${node} was lost`;

/** Said twice for one incarnation, it does nothing the second time. */
export async function handleLoss(
  context: Context,
  jobId: string,
  incarnation: number,
  cause: string,
): Promise<void> {
  const { running, locks, jobs } = context;
  running.abortAllOf(jobId, { code: 'NODE_LOST', message: cause, remedy: '' });
  // Behind the operation in flight: if it is past its barrier, it may still commit a newer generation.
  await locks.run(jobId, async () => {
    const job = jobs.get(jobId);
    if (job.state === JobState.RUNNING && job.incarnation === incarnation)
      await applyLoss(context, job, cause);
  });
}

/** Under the job's lock. */
export async function applyLoss(context: Context, job: Job, cause: string): Promise<void> {
  const { catalog, clock, decisions, jobs } = context;
  const known = await catalog.list(job.id);
  const choice = chooseGeneration(await catalog.lastExisting(job, known), known);
  const decision = decideAfterLoss(job, cause, choice);
  const { reason } = decision;
  decisions.note(job.id, 'restart', reason);
  if (decision.restart) {
    await jobs.update(job.id, () => ({ state: JobState.RESTARTING, reason }));
    await enqueueOperation(context, job, {
      kind: 'restart',
      ckptId: null,
      nodes: [],
      outputPath: '',
      lazy: false,
      automatic: true,
      drains: false,
      notBeforeMs: clock.wallMs() + decision.delayMs,
      deadlineMs: null,
    });
    return;
  }
  await giveUp(context, job, reason);
}

/** Under the job's lock. */
export async function giveUp(context: Context, job: Job, reason: string): Promise<void> {
  const { jobs, clock, fleet } = context;
  // Of a job that is cut off as a whole nothing is killed: it runs on if it comes back as a whole, maybe at once.
  const isCutOff = hasMain(job) && !nodesOf(job).some((node) => fleet.isAlive(node));
  await jobs.update(job.id, () => ({ state: JobState.LOST, reason, endedMs: clock.wallMs() }));
  if (isCutOff) return;
  await killTrees(context, job.id, 9);
  await jobs.update(job.id, () => ({ trees: [] }));
}
