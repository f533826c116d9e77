/** One operation from its queue to its end, under its job's lock (E2). */
import { HoldfastError, toHoldfastError } from '../../core/errors';
import { logging } from '../../core/log';
import { toErrorDetail } from '../../core/rpc/errors';
import { type Job, JobState } from '../../proto/gen/holdfast/v1/coordinator';
import { CheckpointRunner } from '../checkpoint/runner';
import type { Context } from '../context';
import { concludeUnstartedRestart } from '../restart/conclude';
import { RestartRunner } from '../restart/runner';
import { requireRoom } from '../retention/quota';
import { hasMain, isEnded } from '../state/jobs';
import { isOver, type OperationRecord } from '../state/operations';

/** Whatever happens is in the record at the end; this rejects only when that cannot be stored. */
export async function runOperation(context: Context, id: string): Promise<OperationRecord> {
  const queued = await context.operations.get(id);
  const { job } = queued.operation;
  return logging({ operation: id, job }, () => admitted(context, queued));
}

async function admitted(context: Context, queued: OperationRecord): Promise<OperationRecord> {
  const { id, job } = queued.operation;
  let leave: () => void;
  try {
    leave = await admit(context, queued);
  } catch {
    // The coordinator is stopping: the next one begins it.
    return queued;
  }
  try {
    return await context.locks.run(job, () => locked(context, id));
  } finally {
    leave();
  }
}

async function locked(context: Context, id: string): Promise<OperationRecord> {
  const record = await context.operations.get(id);
  if (isOver(record)) return record;
  try {
    return await start(context, record);
  } catch (thrown) {
    // It touched nothing: the coordinator of after the next start begins it anew.
    if (toHoldfastError(thrown).code === 'COORDINATOR_UNAVAILABLE') return record;
    return endUnstarted(context, await context.operations.get(id), thrown);
  }
}

/** A checkpoint takes its place among those in flight, but no place while it only waits for its own job. */
async function admit({ gate, locks }: Context, { operation, request }: OperationRecord): Promise<() => void> {
  if (request.kind !== 'checkpoint') return () => {};
  for (;;) {
    await locks.untilIdle(operation.job);
    const leave = await gate.enter(request.urgency);
    if (!locks.isBusy(operation.job)) return leave;
    leave();
  }
}

async function start(context: Context, record: OperationRecord): Promise<OperationRecord> {
  // A tree must not appear in the middle of it, and its newer epoch would end one that is just being started (E1).
  if (record.request.kind === 'checkpoint') await context.launches.untilNone(record.operation.job);
  const job = context.jobs.get(record.operation.job);
  if (record.request.kind === 'restart') {
    if (record.request.automatic && job.state !== JobState.RESTARTING) {
      throw new HoldfastError(
        'WRONG_STATE',
        `job ${job.id} is ${job.state}: there is nothing to restart any more`,
      );
    }
    return new RestartRunner(context, record, record.request).run();
  }
  requireRunning(job);
  await requireRoom(context, job.spec ?? { uid: 0, account: '' });
  return new CheckpointRunner(context, record).run();
}

function requireRunning(job: Job): void {
  if (job.state === JobState.RUNNING && hasMain(job)) return;
  if (job.state === JobState.RUNNING) {
    throw new HoldfastError('WRONG_STATE', `the main tree of job ${job.id} has ended`, 'see the job');
  }
  const remedy = isEnded(job) ? 'restart it first' : 'wait until it runs';
  throw new HoldfastError('WRONG_STATE', `job ${job.id} is ${job.state}, not running`, remedy);
}

/** It failed before anything was sent: there is nothing to undo. */
async function endUnstarted(
  context: Context,
  record: OperationRecord,
  thrown: unknown,
): Promise<OperationRecord> {
  const { clock, decisions, jobs, log, operations } = context;
  const { operation, request } = record;
  const error = toErrorDetail(thrown);
  const { generation, epoch } = operation;
  log.warn({ generation, epoch, err: thrown }, 'operation not started');
  const job = jobs.find(operation.job);
  if (request.kind === 'restart' && request.automatic && job?.state === JobState.RESTARTING) {
    await concludeUnstartedRestart(context, job, error);
  }
  // Nobody waits for the answer to a tick (S2).
  if (request.kind === 'checkpoint' && request.periodic)
    decisions.note(operation.job, 'checkpoint', `not begun: ${error.message}`);
  return operations.put({
    ...record,
    operation: { ...operation, error, phase: 'ABORTED', endedMs: clock.wallMs() },
  });
}
