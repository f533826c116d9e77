/** What is submitted: the command with the caller's environment, directory and identity. */

import { HoldfastError } from '../../core/errors';
import {
  type JobSpec,
  type LiveMode,
  RestartPolicy,
  type RetentionPolicy,
  type SlurmTask,
} from '../../proto/gen/holdfast/v1/manifest';

const RESTART_POLICIES = {
  never: RestartPolicy.NEVER,
  same: RestartPolicy.SAME_NODES,
  any: RestartPolicy.ANY_NODES,
} as const;

export type RestartChoice = keyof typeof RESTART_POLICIES;
export const RESTART_CHOICES = Object.keys(RESTART_POLICIES) as RestartChoice[];

/** The checkpoints that nobody asks for one by one. */
export type Schedule = Pick<
  JobSpec,
  'intervalMs' | 'cron' | 'timeZone' | 'adaptive' | 'deadlineMs' | 'walltimeMs'
>;

export interface ScheduleOptions {
  readonly every?: number | 'auto';
  readonly cron?: string;
  readonly timeZone?: string;
  readonly deadline?: number;
  readonly walltime?: number;
}

export function buildSchedule({ every, cron, timeZone, deadline, walltime }: ScheduleOptions): Schedule {
  if (every !== undefined && cron !== undefined) throw bothGiven('--every', '--cron');
  const here = () => new Intl.DateTimeFormat().resolvedOptions().timeZone;
  return {
    intervalMs: typeof every === 'number' ? every : 0,
    adaptive: every === 'auto',
    cron: cron ?? '',
    timeZone: cron === undefined ? '' : (timeZone ?? here()),
    ...buildEnd({ deadline, walltime }),
  };
}

/** When a run has to end. */
export function buildEnd({ deadline, walltime }: Pick<ScheduleOptions, 'deadline' | 'walltime'>) {
  if (deadline !== undefined && walltime !== undefined) throw bothGiven('--deadline', '--walltime');
  return { deadlineMs: deadline ?? 0, walltimeMs: walltime ?? 0 };
}

function bothGiven(one: string, other: string): HoldfastError {
  return new HoldfastError('INVALID_ARGUMENT', `${one} and ${other} were both given`, 'give one of them');
}

export interface JobRequest {
  readonly argv: string[];
  readonly name: string;
  readonly nodes: string[];
  readonly schedule: Schedule;
  readonly live: LiveMode;
  readonly restart: RestartChoice | undefined;
  readonly maxRestarts: number | undefined;
  /** 0: the coordinator's default. */
  readonly restartBackoffMs: number;
  readonly outputPath: string;
  /** undefined: the coordinator's default. */
  readonly retention: RetentionPolicy | undefined;
  /** undefined: that of the Slurm job, if there is one. */
  readonly account: string | undefined;
  /** undefined: outside of Slurm, or it is not to be looked at. */
  readonly slurm?: SlurmTask;
}

export interface Caller {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly workingDirectory: string;
  readonly uid: number;
  readonly gid: number;
}

export function thisCaller(): Caller {
  const { getuid, getgid } = process;
  if (!getuid || !getgid) throw new HoldfastError('INTERNAL', 'this is not a POSIX system');
  return {
    environment: process.env,
    workingDirectory: process.cwd(),
    uid: getuid(),
    gid: getgid(),
  };
}

/** A job with scheduled checkpoints is restarted from them unless told otherwise; one without has nothing to use. */
function chooseRestart(request: JobRequest): RestartPolicy {
  if (request.maxRestarts === 0) return RestartPolicy.NEVER;
  const { intervalMs, cron, adaptive, deadlineMs, walltimeMs } = request.schedule;
  const isScheduled = adaptive || cron !== '' || intervalMs + deadlineMs + walltimeMs > 0;
  return RESTART_POLICIES[request.restart ?? (isScheduled ? 'any' : 'never')];
}

export function buildSpec(request: JobRequest, caller: Caller): JobSpec {
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(caller.environment)) {
    if (value !== undefined) environment[name] = value;
  }
  return {
    argv: request.argv,
    environment,
    workingDirectory: caller.workingDirectory,
    uid: caller.uid,
    gid: caller.gid,
    outputPath: request.outputPath,
    nodes: request.nodes,
    ...request.schedule,
    restartPolicy: chooseRestart(request),
    maxRestarts: request.maxRestarts ?? 0,
    restartBackoffMs: request.restartBackoffMs,
    name: request.name,
    live: request.live,
    retention: request.retention,
    account: request.account ?? environment.SLURM_JOB_ACCOUNT ?? '',
    slurm: request.slurm,
  };
}
