/** A new operation: durable first, then in its queue. */
import { HoldfastError } from '../../core/errors';
import { newOperationId } from '../../core/ids';
import { type Job, Operation, OperationKind } from '../../proto/gen/holdfast/v1/coordinator';
import type { Context } from '../context';
import { MAX_BACKOFF_MS } from '../jobs/policy';
import type { OperationRecord, OperationRequest } from '../state/operations';

export function newRecord(job: Job, request: OperationRequest, nowMs: number): OperationRecord {
  const kind = request.kind === 'checkpoint' ? OperationKind.CHECKPOINT : OperationKind.RESTART;
  return {
    operation: Operation.fromPartial({
      id: newOperationId(nowMs),
      kind,
      job: job.id,
      phase: 'QUEUED',
      startedMs: nowMs,
      trees: job.trees,
    }),
    request,
    nodes: [],
    manifest: null,
    hasReleased: false,
  };
}

/** Of one job; more than a few help nobody, since they follow each other. Its automatic restart is not refused: nobody would ask again. */
const MAX_OPEN = 8;

/**
 * @returns the operation's id
 * @throws HoldfastError LIMIT_EXCEEDED
 */
export async function enqueueOperation(
  context: Context,
  job: Job,
  request: OperationRequest,
): Promise<string> {
  const isLimited = request.kind !== 'restart' || !request.automatic;
  if (isLimited && context.operations.openOf(job.id).length >= MAX_OPEN) {
    const message = `${MAX_OPEN} operations of job ${job.id} are open already`;
    throw new HoldfastError('LIMIT_EXCEEDED', message, 'wait until they have ended');
  }
  const record = await context.operations.put(newRecord(job, request, context.clock.wallMs()));
  await queueRecord(context, record);
  return record.operation.id;
}

/** A record that is durable: into its queue, when its time has come. */
export async function queueRecord(
  { clock, gathering, jobs, queues }: Context,
  record: OperationRecord,
): Promise<void> {
  const { operation, request } = record;
  const backoffMs = request.kind === 'restart' ? request.notBeforeMs - clock.wallMs() : 0;
  // The clock may have been set back since.
  const waitMs = Math.min(backoffMs, MAX_BACKOFF_MS);
  await queues.add(record, Math.max(0, waitMs, gathering.remainingMs(jobs.get(operation.job))));
}
