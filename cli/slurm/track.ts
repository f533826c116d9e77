/** Puts what discovery has found of a Slurm job under checkpoints, and says what is not possible. */
import { toHoldfastError } from '../../core/errors';
import { taskName } from '../../core/slurm/names';
import type { SlurmProcess } from '../../proto/gen/holdfast/v1/agent';
import type { RetentionPolicy } from '../../proto/gen/holdfast/v1/manifest';
import type { Connection } from '../client/connection';

export interface TrackWishes {
  readonly every?: number | 'auto';
  readonly keep?: RetentionPolicy;
}

export interface Tracked {
  readonly process: SlurmProcess;
  /** Of ours; empty: it is not tracked. */
  readonly job: string;
  readonly outcome: 'tracked' | 'already' | 'refused' | 'failed';
  /** Why not. */
  readonly reason: string;
}

export async function trackAll(
  connection: Connection,
  processes: readonly SlurmProcess[],
  { every, keep }: TrackWishes,
): Promise<Tracked[]> {
  const results: Tracked[] = [];
  for (const process of processes) {
    const { job, node, pid, refusal, startTicks } = process;
    if (job !== '') results.push({ process, job, outcome: 'already', reason: '' });
    else if (refusal !== '') results.push({ process, job: '', outcome: 'refused', reason: refusal });
    else {
      try {
        const answer = await connection.call('trackProcess', {
          ...{ node, pid, startTicks, name: taskName(process), retention: keep },
          ...{ intervalMs: typeof every === 'number' ? every : 0, adaptive: every === 'auto' },
        });
        results.push({ process, job: answer.job?.id ?? '', outcome: 'tracked', reason: '' });
      } catch (thrown) {
        results.push({ process, job: '', outcome: 'failed', reason: toHoldfastError(thrown).message });
      }
    }
  }
  return results;
}

/** What a user must know of tasks that were not started by Holdfast. Pure. */
export function limitsOf(results: readonly Tracked[], { every }: TrackWishes): string[] {
  const tracked = results.filter(({ outcome }) => outcome === 'tracked');
  if (tracked.length === 0) return [];
  const interval = every === 'auto' ? 'as often as pays' : `every ${Number(every) / 1000} s`;
  const suspended = tracked.filter(({ process }) => process.suspended).length;
  return [
    every === undefined
      ? 'checkpoints are taken by `holdfast checkpoint JOB` only: none were asked for with --every'
      : `they are checkpointed ${interval} as far as possible`,
    'nothing of it is restarted by itself, and tasks are not captured at the same moment:',
    'for that start it with `holdfast run` or `holdfast mpirun` in the job script',
    ...(suspended > 0 ? [`${suspended} suspended: no checkpoints until Slurm resumes them`] : []),
  ];
}
