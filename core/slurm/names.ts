/** What all parts agree on about Slurm jobs. */
import type { SlurmTask } from '../../proto/gen/holdfast/v1/manifest';
import { HoldfastError } from '../errors';

/** Slurm's own limit is 40 characters, in lower case. */
const CLUSTER = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;
/** The seats of a Slurm job have one name on all of its nodes. */
const SEAT = /^slurm-[A-Za-z0-9_-]{1,63}-[1-9][0-9]{0,9}$/;

export const isCluster = (name: string): boolean => CLUSTER.test(name);

/** @throws HoldfastError INVALID_ARGUMENT */
export function requireSeatName(seat: string): string {
  if (SEAT.test(seat)) return seat;
  throw new HoldfastError('INVALID_ARGUMENT', `not the name of a seat: ${JSON.stringify(seat)}`);
}

export const seatOf = ({ cluster, jobId }: Pick<SlurmTask, 'cluster' | 'jobId'>): string =>
  `slurm-${cluster}-${jobId}`;

/** @param seat checked */
export const jobIdOf = (seat: string): number => Number(seat.slice(seat.lastIndexOf('-') + 1));

/** For people: "Slurm job 12". */
export const slurmJob = ({ jobId }: Pick<SlurmTask, 'jobId'>): string => `Slurm job ${jobId}`;

/** Why a job was stopped that its user did not stop; its batch system runs it again. */
export const STOP_CAUSES = ['deadline', 'preempt', 'drain'] as const;
export type StopCause = (typeof STOP_CAUSES)[number];

export const isStopCause = (text: string): text is StopCause =>
  (STOP_CAUSES as readonly string[]).includes(text);

/** What a task is called among our jobs. */
export const taskName = (task: {
  readonly jobId: number;
  readonly step: string;
  readonly task: number;
}): string => `slurm-${task.jobId}.${task.step}.${task.task}`;

/** Such a name, or the beginning of one up to a dot. */
export const isTaskName = (text: string): boolean => /^slurm-[1-9][0-9]{0,9}(\.|$)/.test(text);
