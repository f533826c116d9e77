/** What must stay whatever the policy says (G4). Pure. */
import { type Job, JobState } from '../../proto/gen/holdfast/v1/coordinator';
import { isEnded } from '../state/jobs';

export interface HoldsInput {
  readonly job: Job;
  /** Numbers of all generations there are. */
  readonly generations: readonly number[];
  readonly pinned: ReadonlySet<number>;
  /** Those that the job is not restarted from by itself. */
  readonly quarantined: ReadonlySet<number>;
  /** Generations that open restarts name, by operation. */
  readonly restarts: ReadonlyMap<string, number>;
  /** Generations that exports read right now. */
  readonly exported: ReadonlySet<number>;
  /** Its owner, not a policy, wants one to go: then a job that does not run needs none. */
  readonly isAsked?: boolean;
}

/** What is cut off as a whole still has its trees, and may come back. */
const mayRun = (job: Job): boolean => !isEnded(job) || job.trees.length > 0;

/** Ended, but not by itself. */
const isInterrupted = ({ state }: Job): boolean => state === JobState.STOPPED || state === JobState.LOST;

/** The reason for each generation that stays. */
export function holdsOf(input: HoldsInput): Map<number, string> {
  const { job, generations, pinned, quarantined, restarts, exported, isAsked = false } = input;
  const holds = new Map<number, string>();
  for (const generation of exported) holds.set(generation, 'an export reads it');
  for (const [operation, generation] of restarts)
    holds.set(generation, `operation ${operation} restarts the job from it`);
  if (job.restoredGeneration > 0 && mayRun(job))
    holds.set(job.restoredGeneration, 'the job runs from it, and has committed none since');
  if (mayRun(job) || (isInterrupted(job) && !isAsked)) {
    const need = `which the job may need (${stateName(job)})`;
    const good = generations.filter((generation) => !quarantined.has(generation));
    if (good.length > 0) holds.set(Math.max(...good), `the newest that is not in quarantine, ${need}`);
    // Also one in quarantine: the next checkpoint builds on it (M3).
    if (generations.length > 0) holds.set(Math.max(...generations), `the newest, ${need}`);
  }
  for (const generation of pinned) holds.set(generation, 'pinned');
  return holds;
}

const stateName = ({ state }: Job): string => state.replace('JOB_STATE_', '');
