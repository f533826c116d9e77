/** Checkpoint and restart requests: checked here, done by their operations. */
import { HoldfastError } from '../../core/errors';
import { isNodeName, requireName } from '../../core/ids';
import type { Identity } from '../../core/rpc/identity';
import { isStopCause } from '../../core/slurm';
import {
  type CheckpointRequest,
  type Job,
  JobState,
  type RestartRequest,
} from '../../proto/gen/holdfast/v1/coordinator';
import type { Context } from '../context';
import { checkEnd, checkPath, deadlineOf } from '../jobs/spec';
import { enqueueOperation } from '../operations/enqueue';
import { requireOwnCheckpoint, requireOwnJob } from './authorize';

/** @returns the operation's id */
export async function requestCheckpoint(
  context: Context,
  identity: Identity,
  { job: id, stop, live, now, cause }: CheckpointRequest,
): Promise<string> {
  const job = requireOwnJob(identity, context.jobs.get(id));
  if (job.state !== JobState.RUNNING) {
    throw new HoldfastError('WRONG_STATE', `job ${id} is ${job.state}, not running`);
  }
  if (cause !== '' && !(stop && isStopCause(cause)))
    throw new HoldfastError('INVALID_ARGUMENT', `cause ${JSON.stringify(cause)} is none of a stop`);
  return enqueueOperation(context, job, {
    ...{ kind: 'checkpoint', stop, periodic: false, live, drains: '', cause },
    urgency: now ? 'now' : 'high',
  });
}

/** The job's recorded user and root may ask; it runs under the recorded user whoever asks. */
export async function requestRestart(
  context: Context,
  identity: Identity,
  request: RestartRequest,
): Promise<string> {
  const { job, ckptId } = await sourceOf(context, identity, request);
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
  const { nodes, outputPath, lazy } = request;
  const deadlineMs = deadlineOf(request, nowMs);
  const asked = { ckptId, nodes, outputPath, lazy, notBeforeMs: 0, deadlineMs };
  return enqueueOperation(context, job, { kind: 'restart', ...asked, automatic: false, drains: false });
}

async function sourceOf(
  { catalog, jobs }: Context,
  identity: Identity,
  { source }: RestartRequest,
): Promise<{ job: Job; ckptId: number | null }> {
  if (source?.$case === 'ckptId') {
    const summary = requireOwnCheckpoint(identity, await catalog.get(source.value));
    return { job: requireOwnJob(identity, jobs.get(summary.job)), ckptId: summary.ckptId };
  }
  if (source?.$case === 'job') {
    const job = requireOwnJob(identity, jobs.get(source.value));
    if (job.lastGeneration > 0) return { job, ckptId: null };
    throw new HoldfastError('NOT_FOUND', `job ${job.id} has no committed checkpoint`);
  }
  throw new HoldfastError('INVALID_ARGUMENT', 'name a checkpoint or a job to restart');
}
