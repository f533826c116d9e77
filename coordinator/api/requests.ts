/** Checkpoint and restart requests: checked here, done by their operations. */
import { HoldfastError } from '../../core/errors';
import { isNodeName, requireName } from '../../core/ids';
import { isStopCause } from '../../core/slurm/names';
import {
  type CheckpointRequest,
  type Job,
  JobState,
  type RestartRequest,
} from '../../proto/gen/holdfast/v1/coordinator';
import type { Context } from '../context';
import { checkEnd, checkPath, deadlineOf } from '../jobs/spec';
import { enqueueOperation } from '../operations/enqueue';
import { stopUnderWay } from '../slurm/stop';
import { type Caller, hasRole, ownerOf, requireCheckpoint, requireJob, requirePrivilege } from './authorize';

/** @returns the operation's id */
export async function requestCheckpoint(
  context: Context,
  caller: Caller,
  { job: id, stop, live, now, cause }: CheckpointRequest,
): Promise<string> {
  const job = requireJob(caller, 'checkpoint', context.jobs.get(id));
  requirePrivilege(caller, 'checkpoint', context.policies().unprivilegedAllowed);
  if (job.state !== JobState.RUNNING) {
    throw new HoldfastError('WRONG_STATE', `job ${id} is ${job.state}, not running`);
  }
  requireFewOpen(context, caller, ownerOf(job));
  if (cause !== '' && !(stop && isStopCause(cause)))
    throw new HoldfastError('INVALID_ARGUMENT', `cause ${JSON.stringify(cause)} is none of a stop`);
  const underWay = cause === '' ? undefined : stopUnderWay(context, id, cause);
  if (underWay !== undefined) return underWay;
  return enqueueOperation(context, job, {
    ...{ kind: 'checkpoint', stop, periodic: false, live, drains: '', cause },
    urgency: now ? 'now' : 'high',
  });
}

/** The job's recorded user and admins may ask; it runs under the recorded user whoever asks. */
export async function requestRestart(
  context: Context,
  caller: Caller,
  request: RestartRequest,
): Promise<string> {
  const { job, ckptId } = await sourceOf(context, caller, request);
  requirePrivilege(caller, 'restart', context.policies().unprivilegedAllowed);
  for (const node of request.nodes) requireName('node name', node, isNodeName);
  checkPath('output_path', request.outputPath, false);
  const nowMs = context.clock.wallMs();
  checkEnd(request, nowMs);
  if (job.state === JobState.STARTING || job.state === JobState.RESTARTING) {
    throw new HoldfastError(
      'WRONG_STATE',
      `job ${job.id} is ${job.state}`,
      'wait until it runs or has ended',
    );
  }
  requireFewOpen(context, caller, ownerOf(job));
  const { nodes, outputPath, lazy } = request;
  const deadlineMs = deadlineOf(request, nowMs);
  const asked = { ckptId, nodes, outputPath, lazy, notBeforeMs: 0, deadlineMs };
  return enqueueOperation(context, job, { kind: 'restart', ...asked, automatic: false, drains: false });
}

/** They are in everybody's queues. @throws HoldfastError LIMIT_EXCEEDED */
function requireFewOpen({ jobs, operations, policies }: Context, caller: Caller, owner: number): void {
  const limit = policies().userOperations;
  if (limit === 0 || hasRole(caller, 'operator')) return;
  const isOwn = (job: Job | undefined) => job !== undefined && ownerOf(job) === owner;
  const open = operations.open().filter(({ operation }) => isOwn(jobs.find(operation.job))).length;
  if (open < limit) return;
  const message = `${open} operations of uid ${owner} are open`;
  throw new HoldfastError('LIMIT_EXCEEDED', message, 'wait until some have ended');
}

async function sourceOf(
  { catalog, jobs }: Context,
  caller: Caller,
  { source }: RestartRequest,
): Promise<{ job: Job; ckptId: number | null }> {
  if (source?.$case === 'ckptId') {
    const summary = requireCheckpoint(caller, 'restart', await catalog.get(source.value));
    return { job: requireJob(caller, 'restart', jobs.get(summary.job)), ckptId: summary.ckptId };
  }
  if (source?.$case === 'job') {
    const job = requireJob(caller, 'restart', jobs.get(source.value));
    if (job.lastGeneration > 0) return { job, ckptId: null };
    throw new HoldfastError('NOT_FOUND', `job ${job.id} has no committed checkpoint`);
  }
  throw new HoldfastError('INVALID_ARGUMENT', 'name a checkpoint or a job to restart');
}
