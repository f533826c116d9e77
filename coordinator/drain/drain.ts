/** A node is taken out of service: its jobs are checkpointed, and nothing is placed there any more. */
import { HoldfastError, toHoldfastError } from '../../core/errors';
import { type DrainRequest, type Job, JobState } from '../../proto/gen/holdfast/v1/coordinator';
import { LiveMode } from '../../proto/gen/holdfast/v1/manifest';
import type { Context } from '../context';
import { enqueueOperation } from '../operations/enqueue';
import { nodesOf } from '../state/jobs';

/**
 * Said again, it checkpoints what still runs there once more.
 * @returns the ids of the checkpoints
 * @throws HoldfastError NOT_FOUND
 */
export async function drainNode(context: Context, request: DrainRequest): Promise<string[]> {
  const { clock, drains, log } = context;
  const { node, reason, restart } = request;
  requireKnown(context, node);
  await drains.put(node, { sinceMs: clock.wallMs(), reason, restart });
  log.info({ node, reason, restart }, 'node drained');
  return checkpointJobsOn(context, node);
}

/** @throws HoldfastError NOT_FOUND */
export async function undrainNode(context: Context, node: string): Promise<void> {
  // One that has not registered since the coordinator's start is known to be drained all the same.
  if (context.drains.find(node) === undefined) requireKnown(context, node);
  await context.drains.remove(node);
  context.log.info({ node }, 'node open again');
}

function requireKnown({ fleet }: Context, node: string): void {
  if (fleet.node(node) !== undefined) return;
  throw new HoldfastError('NOT_FOUND', `there is no node ${node}`, 'see `holdfast nodes`');
}

export async function checkpointJobsOn(context: Context, node: string): Promise<string[]> {
  const { decisions, drains, jobs } = context;
  const wanted = jobs
    .all()
    .filter((job) => job.state === JobState.RUNNING && nodesOf(job).includes(node))
    .filter((job) => !isUnderWay(context, job, node));
  const started: string[] = [];
  for (const job of wanted) {
    const live = job.spec?.live ?? LiveMode.UNSPECIFIED;
    // Slurm takes it to other nodes, as it has drained this one.
    const stop = drains.find(node)?.restart === true && job.spec?.slurm?.requeue === true;
    const cause = stop ? 'drain' : '';
    const request = { kind: 'checkpoint', stop, cause, periodic: false, live } as const;
    try {
      const id = await enqueueOperation(context, job, { ...request, urgency: 'high', drains: node });
      decisions.note(job.id, 'drain', `node ${node} is drained: checkpoint ${id}`);
      started.push(id);
    } catch (thrown) {
      decisions.note(
        job.id,
        'drain',
        `node ${node} is drained, but there is no checkpoint: ${toHoldfastError(thrown).message}`,
      );
    }
  }
  return started;
}

function isUnderWay({ operations }: Context, job: Job, node: string): boolean {
  return operations
    .openOf(job.id)
    .some(({ request }) => request.kind === 'restart' || request.drains === node);
}
