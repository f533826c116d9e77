/** Ending a job's trees. */
import { HoldfastError, toHoldfastError } from '../../core/errors';
import { JobState } from '../../proto/gen/holdfast/v1/coordinator';
import type { Context } from '../context';
import { isEnded, nodesOf } from '../state/jobs';
import { TIMEOUTS_MS } from '../timeouts';

const SIGKILL = 9;

/**
 * To every node that hosts one and can be reached. The job's lock is held, or nothing else can be in flight.
 * @param incarnation of the trees that are meant; a job that was restarted meanwhile is left alone
 */
export async function killTrees(
  context: Context,
  jobId: string,
  signal: number,
  incarnation = context.jobs.get(jobId).incarnation,
): Promise<void> {
  const { fleet, jobs, counters, log } = context;
  if (jobs.get(jobId).incarnation !== incarnation) return;
  const epoch = await counters.nextEpoch(jobId);
  const scope = { job: jobId, generation: 0, epoch };
  const value = { signal, belowIncarnation: 0 };
  const nodes = nodesOf(jobs.get(jobId)).filter((node) => fleet.isAlive(node));
  const kills = nodes.map(async (node) => {
    try {
      await fleet.command(node, { $case: 'kill', value }, scope, { timeoutMs: TIMEOUTS_MS.kill });
    } catch (thrown) {
      // The node kills them when it registers again (E3).
      log.warn({ job: jobId, node, err: toHoldfastError(thrown) }, 'trees not killed');
    }
  });
  await Promise.all(kills);
}

/** On a user's request: what is in flight is aborted first, since its commands must not meet a newer epoch (E1). */
export async function killJob(context: Context, jobId: string, signal: number, uid: number): Promise<void> {
  const { clock, fleet, jobs, locks, operations, running } = context;
  if (!Number.isInteger(signal) || signal < 1 || signal > 64) {
    throw new HoldfastError('INVALID_ARGUMENT', `${signal} is no signal`);
  }
  if (isEnded(jobs.get(jobId))) throw new HoldfastError('WRONG_STATE', `job ${jobId} has ended already`);
  running.abortAllOf(jobId, { code: 'ABORTED', message: `uid ${uid} kills job ${jobId}`, remedy: '' });
  const end = async () => {
    const job = jobs.get(jobId);
    if (isEnded(job)) return;
    const unreachable = nodesOf(job).filter((node) => !fleet.isAlive(node));
    const reason = `killed with signal ${signal} by uid ${uid}`;
    if (job.state === JobState.RESTARTING) {
      // No end of its main tree would tell, and the next attempt finds nothing to restart.
      await jobs.update(jobId, () => ({ reason, state: JobState.FAILED, endedMs: clock.wallMs() }));
      await killTrees(context, jobId, SIGKILL);
      await jobs.update(jobId, () => ({ trees: [] }));
    } else {
      await jobs.update(jobId, () => ({ reason }));
      await killTrees(context, jobId, signal);
    }
    if (unreachable.length > 0) {
      const cause = `job ${jobId} has trees on ${unreachable.join(', ')}, which cannot be reached`;
      throw new HoldfastError('NODE_UNAVAILABLE', cause, 'they are killed when the node returns');
    }
  };
  // A commit sends no more commands, and may wait for a store that is gone: the kill need not.
  const isCommitting = operations.openOf(jobId).some(({ operation }) => operation.phase === 'COMMIT');
  await (isCommitting ? end() : locks.run(jobId, end));
}
