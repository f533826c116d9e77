/**
 * What follows for our jobs from what Slurm says of theirs: one that was requeued begins now, and one that is over is over here,
 * too (T6). Pure; the reason comes with the step.
 */
import { slurmJob } from '../../core/slurm/names';
import { type Job, JobState } from '../../proto/gen/holdfast/v1/coordinator';
import type { Queue, QueuedJob } from './queue';
import type { SlurmSite } from './site';

export type SlurmStep =
  /** The Slurm job has waited for nothing. */
  | {
      readonly kind: 'begin';
      readonly jobId: number;
      readonly jobs: readonly string[];
      readonly reason: string;
    }
  /** The job is thought to run, and cannot: nobody has told. */
  | { readonly kind: 'gone'; readonly job: Job; readonly reason: string }
  /** Slurm never runs its script again. */
  | { readonly kind: 'over'; readonly job: Job; readonly end: string; readonly change: Partial<Job> };

/** Agents tell of the end of a step within seconds; only who does not is passed over. */
const TOLD_MS = 30_000;
/** Slurm counts in seconds, and its parts one after the other. */
const TOLERANCE_MS = 2_000;

const OVER: ReadonlySet<string> = new Set([
  ...['BOOT_FAIL', 'CANCELLED', 'COMPLETED', 'DEADLINE', 'FAILED', 'NODE_FAIL', 'OUT_OF_MEMORY'],
  ...['PREEMPTED', 'REVOKED', 'TIMEOUT'],
]);
const UNKNOWN = 'UNKNOWN';

/** Those that Slurm is to be asked about. */
export const isOpen = ({ spec }: Job, { cluster }: SlurmSite): boolean =>
  spec?.slurm?.cluster === cluster && spec.slurm.ended === '' && spec.slurm.supersededBy === '';

/** @param jobs open ones */
export function planSlurm(jobs: readonly Job[], queue: Queue, site: SlurmSite, nowMs: number): SlurmStep[] {
  const requeued = [...queue.values()].filter((queued) => waitsForNothing(queued, site, nowMs));
  const begins = requeued.map(
    ({ jobId, eligibleMs }): SlurmStep => ({
      ...{ kind: 'begin', jobId, jobs: jobs.filter((job) => jobIdOf(job) === jobId).map(({ id }) => id) },
      reason: `${slurmJob({ jobId })} was requeued: it begins now, not in ${Math.ceil((eligibleMs - nowMs) / 1000)} s`,
    }),
  );
  return [...begins, ...jobs.flatMap((job) => endOf(job, queue.get(jobIdOf(job)), nowMs) ?? [])];
}

const jobIdOf = ({ spec }: Job): number => spec?.slurm?.jobId ?? 0;

/** A time that its user or an admin has set is another one than Slurm's own. */
function waitsForNothing(
  { state, reason, restarts, submittedMs, eligibleMs }: QueuedJob,
  { requeueWaitMs }: SlurmSite,
  nowMs: number,
): boolean {
  const isWaiting = state === 'PENDING' && reason === 'BeginTime' && restarts > 0 && eligibleMs > nowMs;
  return isWaiting && Math.abs(eligibleMs - submittedMs - requeueWaitMs) <= TOLERANCE_MS;
}

function endOf(job: Job, queued: QueuedJob | undefined, nowMs: number): SlurmStep | null {
  const end = queued === undefined ? UNKNOWN : queued.state;
  if (end !== UNKNOWN && !OVER.has(end)) return null;
  const how = `${slurmJob({ jobId: jobIdOf(job) })} ${wordsOf(end)}`;
  switch (job.state) {
    case JobState.RUNNING:
      return nowMs - (queued?.endMs ?? 0) < TOLD_MS ? null : { kind: 'gone', job, reason: how };
    case JobState.COMPLETED:
    case JobState.FAILED:
      return { kind: 'over', job, end, change: {} };
    case JobState.STOPPED:
    case JobState.LOST: {
      const reason = job.reason === '' ? how : `${job.reason}; ${how}`;
      // Whoever cancels a job does not want it: its checkpoints are kept as those of one that has failed.
      const state = end === 'CANCELLED' ? JobState.FAILED : job.state;
      return { kind: 'over', job, end, change: { state, reason, endedMs: queued?.endMs || nowMs } };
    }
    // What starts or restarts it comes to an end by itself.
    default:
      return null;
  }
}

function wordsOf(end: string): string {
  if (end === UNKNOWN) return 'is not known to Slurm any more';
  return end === 'CANCELLED' ? 'was cancelled' : `has ended (${end})`;
}
