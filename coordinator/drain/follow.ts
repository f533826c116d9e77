/** What follows the checkpoints of a drained node's jobs: they go on elsewhere, if that was asked for. */
import { JobState } from '../../proto/gen/holdfast/v1/coordinator';
import type { Context } from '../context';
import { isMovable } from '../jobs/policy';
import { enqueueOperation } from '../operations/enqueue';
import { nodesOf } from '../state/jobs';
import { isOver, type OperationRecord } from '../state/operations';
import { checkpointJobsOn } from './drain';

/** The result stops. */
export function followDrains(context: Context): () => void {
  const { drains, log, operations } = context;
  const report = (thrown: unknown) => log.error({ err: thrown }, 'draining');
  // A coordinator that ended between a checkpoint and its restart begins with the checkpoint again.
  for (const node of drains.nodes)
    if (drains.find(node)?.restart) checkpointJobsOn(context, node).catch(report);
  return operations.changed.subscribe((record) => {
    if (isOver(record) && record.request.kind === 'checkpoint' && record.request.drains !== '')
      afterCheckpoint(context, record, record.request.drains).catch(report);
  });
}

async function afterCheckpoint(
  context: Context,
  { operation }: OperationRecord,
  node: string,
): Promise<void> {
  const { decisions, drains, jobs, operations } = context;
  const job = jobs.get(operation.job);
  if (operation.phase !== 'DONE') {
    const why = operation.error?.message ?? operation.phase;
    decisions.note(job.id, 'drain', `node ${node} is drained, but the checkpoint failed: ${why}`);
    return;
  }
  if (!drains.find(node)?.restart || job.state !== JobState.RUNNING || !nodesOf(job).includes(node)) return;
  if (operations.openOf(job.id).some(({ request }) => request.kind === 'restart')) return;
  if (!isMovable(job.spec?.restartPolicy)) {
    decisions.note(job.id, 'drain', `node ${node} is drained, but the job's restart policy is never`);
    return;
  }
  // From just this checkpoint; where no node can take the job, it stays and runs on.
  const id = await enqueueOperation(context, job, {
    ...{ kind: 'restart', ckptId: operation.ckptId, nodes: [], outputPath: '', lazy: false },
    ...{ automatic: false, drains: true, notBeforeMs: 0, deadlineMs: null },
  });
  const what = `checkpoint ${operation.ckptId} is restarted on other nodes (${id})`;
  decisions.note(job.id, 'drain', `node ${node} is drained: ${what}`);
}
