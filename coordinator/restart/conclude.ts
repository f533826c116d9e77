/** What a failed restart leaves of its job: the state says what is true. */

import { isErrorCode } from '../../core/errors';
import type { ErrorDetail } from '../../proto/gen/holdfast/v1/agent';
import { type Job, JobState } from '../../proto/gen/holdfast/v1/coordinator';
import type { Context } from '../context';
import { applyLoss, giveUp } from '../jobs/loss';
import type { OperationRecord } from '../state/operations';
import type { RestartRequest } from './prepare';
import { noteFailedNode } from './quarantine';

export async function judgeFailedRestart(context: Context, { operation }: OperationRecord): Promise<void> {
  const { code = '', message = 'unknown' } = operation.error ?? {};
  if (isErrorCode(code))
    await noteFailedNode(context, operation.job, operation.generation, { code, message });
}

/** After KILL nothing of the job runs; its generations are as they were (C2). */
export async function concludeFailedRestart(
  context: Context,
  { operation }: OperationRecord,
  request: RestartRequest,
): Promise<void> {
  const { jobs, clock } = context;
  const { message = 'unknown' } = operation.error ?? {};
  const cause = `its restart from generation ${operation.generation} failed: ${message}`;
  const job = await jobs.update(operation.job, () => ({ trees: [], reason: cause }));
  // An attempt counts against the job's limit, so this ends.
  if (request.automatic || request.drains) return applyLoss(context, job, cause);
  await jobs.update(job.id, () => ({ state: JobState.STOPPED, endedMs: clock.wallMs() }));
}

/** Without a plan nothing was touched: the job is where its nodes are. Under its lock. */
export async function concludeUnstartedRestart(
  context: Context,
  job: Job,
  { code, message }: ErrorDetail,
): Promise<void> {
  // Who wants the job to end says what becomes of it.
  if (code === 'ABORTED') return;
  if (code !== 'WRONG_STATE') return giveUp(context, job, message);
  await context.jobs.update(job.id, () => ({ state: JobState.RUNNING, reason: '' }));
}
