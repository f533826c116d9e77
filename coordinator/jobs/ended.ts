/** What the end of a tree means for its job. */
import type { TreeEnded } from '../../proto/gen/holdfast/v1/agent';
import { type Job, JobState, type PlacedTree } from '../../proto/gen/holdfast/v1/coordinator';
import type { Context } from '../context';
import { handleSeatGone } from '../slurm/seatGone';
import { isEnded, nodesOf } from '../state/jobs';
import { killTrees } from './kill';
import { handleLoss, nodeCause } from './loss';

/** Returns when the end is durable: only then may the agent forget it. */
export async function treeEnded(context: Context, node: string, ended: TreeEnded): Promise<void> {
  const { jobs, locks, log } = context;
  const fields = { job: ended.job, node, tree: ended.treeId, incarnation: ended.incarnation };
  const before = jobs.find(ended.job);
  const tree = before?.trees.find((placed) => placed.treeId === ended.treeId && placed.node === node);
  const isPart = () => jobs.find(ended.job)?.incarnation === ended.incarnation;
  if (before === undefined || tree === undefined || !isPart()) {
    log.info(fields, 'a tree ended that is no longer part of a job');
    return;
  }
  log.info({ ...fields, exitCode: ended.exitCode, signal: ended.signal }, 'tree ended');
  if (before.state === JobState.RESTARTING) {
    // At once: what has ended is no reason to think that the job runs on. Then see what becomes of the attempt.
    await removeTree(context, before, tree);
    await locks.run(ended.job, async () => {});
    if (!isPart() || jobs.get(ended.job).state === JobState.RESTARTING) return;
  }
  const job = jobs.get(ended.job);
  if (ended.memoryLost !== '' && !isEnded(job)) {
    const cause = `tree ${tree.treeId} on node ${node} lost its memory (${ended.memoryLost})`;
    await removeTree(context, job, tree);
    await handleLoss(context, job.id, job.incarnation, cause);
  } else if (ended.seatGone && !isEnded(job) && !isStopping(context, job)) {
    await removeTree(context, job, tree);
    await handleSeatGone(context, job, node);
  } else if (!tree.main || isEnded(job) || isStopping(context, job)) await removeTree(context, job, tree);
  else await mainEnded(context, job, tree, exitCodeOf(ended));
}

/** Undefined for a process that Holdfast did not start: only its parent learns how it ended. */
function exitCodeOf({ exitCode, signal }: TreeEnded): number | undefined {
  return exitCode ?? (signal === undefined ? undefined : 128 + signal);
}

/** A checkpoint with `stop` ends the trees itself; its commit says what the job has become. */
function isStopping({ operations }: Context, job: Job): boolean {
  return operations
    .openOf(job.id)
    .some(({ request, hasReleased }) => request.kind === 'checkpoint' && request.stop && hasReleased);
}

async function removeTree({ jobs }: Context, job: Job, tree: PlacedTree): Promise<void> {
  await jobs.update(job.id, (now) => ({ trees: now.trees.filter(({ treeId }) => treeId !== tree.treeId) }));
}

/**
 * A main tree that failed may have failed because a node is gone: nobody knows before each other node has either
 * renewed its lease after the end, or lost it.
 */
async function mainEnded(
  context: Context,
  job: Job,
  main: PlacedTree,
  exitCode: number | undefined,
): Promise<void> {
  const { fleet, jobs } = context;
  const others = nodesOf(job).filter((node) => node !== main.node);
  if (exitCode !== 0 && others.length > 0) {
    const outcomes = await Promise.all(others.map((node) => fleet.awaitRenewal(node)));
    const lostNode = others.find((_, index) => outcomes[index] === 'lost');
    if (lostNode !== undefined) {
      // Without it the job cannot run on, whoever comes back.
      await removeTree(context, job, main);
      return handleLoss(context, job.id, job.incarnation, nodeCause(lostNode));
    }
    const now = jobs.get(job.id);
    if (isEnded(now) || now.incarnation !== job.incarnation || now.state === JobState.RESTARTING) return;
  }
  const how = exitCode === undefined ? '; how is not known, Holdfast did not start it' : ` with ${exitCode}`;
  await endJob(context, job.id, exitCode, `its main tree on node ${main.node} ended${how}`);
}

async function endJob(
  context: Context,
  jobId: string,
  exitCode: number | undefined,
  cause: string,
): Promise<void> {
  const { jobs, clock, locks, log } = context;
  const job = await jobs.update(jobId, (now) => ({
    state: (exitCode ?? 0) === 0 ? JobState.COMPLETED : JobState.FAILED,
    exitCode,
    reason: exitCode === 0 ? '' : now.reason || cause,
    endedMs: clock.wallMs(),
    trees: now.trees.filter((tree) => !tree.main),
  }));
  log.info({ job: jobId, state: job.state, exitCode }, 'job ended');
  if (job.trees.length === 0) return;
  // After an operation that may be uploading what it captured before the end.
  locks
    .run(jobId, () => killTrees(context, jobId, 9, job.incarnation))
    .catch((err) => log.error({ job: jobId, err }, 'kill failed'));
}
