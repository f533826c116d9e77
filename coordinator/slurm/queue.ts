/** What Slurm says of its jobs: one question for many of them. Pure. */

export interface QueuedJob {
  readonly jobId: number;
  /** "PENDING", "RUNNING", "COMPLETING", "CANCELLED" … */
  readonly state: string;
  /** Why it waits. */
  readonly reason: string;
  /** How often it was requeued. */
  readonly restarts: number;
  /** Unix times; 0: none. That of a requeued job is when it was requeued. */
  readonly submittedMs: number;
  /** Not before this. */
  readonly eligibleMs: number;
  readonly endMs: number;
}

/** By the job's number; one that is not there is not known to Slurm, or no longer. */
export type Queue = ReadonlyMap<number, QueuedJob>;

const FIELDS = ['JobID', 'State', 'Reason', 'RestartCnt', 'SubmitTime', 'EligibleTime', 'EndTime'] as const;
const WIDTH = 40;
/** More fit into one argument; then it is as well to be told of all. */
const MAX_NAMED = 10_000;

/** Arguments of squeue. */
export function queueArguments(jobIds: readonly number[]): string[] {
  const format = FIELDS.map((field) => `${field}:${WIDTH}|`).join(',');
  const named = jobIds.length > MAX_NAMED ? [] : [`--jobs=${jobIds.join(',')}`];
  return ['--noheader', '--states=all', '--array', ...named, `--Format=${format}`];
}

/** @param text times in it are of this machine's time zone */
export function parseQueue(text: string): Queue {
  const jobs = text.split('\n').flatMap((line): QueuedJob[] => {
    const [id = '', state = '', reason = '', restarts, submitted, eligible, end] = line
      .split('|')
      .map((field) => field.trim());
    if (!/^\d+$/.test(id)) return [];
    const time = (field = ''): number => Date.parse(field) || 0;
    return [
      {
        ...{ jobId: Number(id), state, reason, restarts: Number(restarts) || 0 },
        ...{ submittedMs: time(submitted), eligibleMs: time(eligible), endMs: time(end) },
      },
    ];
  });
  return new Map(jobs.map((job) => [job.jobId, job]));
}

/** Slurm's words when all the jobs that were named are unknown to it. */
export const isUnknownJob = (message: string): boolean => /invalid job id/i.test(message);
