/**
 * Operations that a coordinator finds at its start (docs/architecture.md, "Crash ordering of a checkpoint"): those
 * that sent commands are aborted on all nodes, a commit is resolved (C3), those still queued are queued again.
 */

import { discardLeftovers } from '../checkpoint/discard';
import { CheckpointRunner } from '../checkpoint/runner';
import type { Context } from '../context';
import { RestartRunner } from '../restart/runner';
import type { OperationRecord } from '../state/operations';
import { queueRecord } from './enqueue';
import type { Failure } from './failure';

const FAILURE: Failure = {
  code: 'ABORTED',
  message: 'the coordinator was restarted while the operation was at work',
  remedy: 'ask for it again',
};

/** Takes the jobs' locks at once, so that no other operation comes first; returns when all are through. */
export async function recoverOperations(context: Context): Promise<void> {
  const found = context.operations.open();
  const isQueued = ({ operation }: OperationRecord) =>
    operation.phase === 'QUEUED' || operation.phase === 'PLAN';
  const resumed = found.filter((record) => !isQueued(record)).map((record) => resume(context, record));
  for (const record of found.filter(isQueued)) await queueRecord(context, record);
  await Promise.all([...resumed, discardLeftovers(context)]);
}

async function resume(context: Context, record: OperationRecord): Promise<void> {
  const { operation, request } = record;
  const { id, job, phase, generation, epoch } = operation;
  context.log.warn(
    { operation: id, job, generation, epoch, phase },
    'resolving an operation of before the start',
  );
  await context.locks.run(job, async () => {
    const runner =
      request.kind === 'restart'
        ? new RestartRunner(context, record, request)
        : new CheckpointRunner(context, record);
    await runner.resume(FAILURE);
  });
}
