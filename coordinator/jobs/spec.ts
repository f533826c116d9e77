/** A job specification from a user, checked and completed. Pure. */
import { isAbsolute } from 'node:path';
import { isAccount } from '../../core/accounts';
import { HoldfastError } from '../../core/errors';
import { isNodeName, requireName } from '../../core/ids';
import { RULES } from '../../core/retention';
import { isCluster } from '../../core/slurm/names';
import {
  type JobSpec,
  RestartPolicy,
  type RetentionPolicy,
  type SlurmTask,
} from '../../proto/gen/holdfast/v1/manifest';
import { type Caller, hasRole, RULES as RIGHTS } from '../api/authorize';
import { checkCalendar } from '../schedule/cron';

export const DEFAULT_MAX_RESTARTS = 3;
const MIN_INTERVAL_MS = 1_000;
const MAX_NAME_LENGTH = 128;
/** Longer than anything runs, and far from where calendars and the numbers of messages end. */
const MAX_TIME_MS = 10 * 365 * 86_400_000;

type End = Pick<JobSpec, 'deadlineMs' | 'walltimeMs'>;

/**
 * The ids are the caller's; an admin may name another user's.
 * @throws HoldfastError INVALID_ARGUMENT naming the field
 */
export function checkSpec(spec: JobSpec | undefined, caller: Caller, nowMs: number): JobSpec {
  if (spec === undefined) throw invalid('spec', 'is missing');
  if (spec.argv.length === 0 || spec.argv[0] === '') throw invalid('argv', 'is empty');
  checkTexts('argv', spec.argv);
  checkEnvironment(spec.environment);
  checkPath('working_directory', spec.workingDirectory, true);
  checkPath('output_path', spec.outputPath, false);
  for (const node of spec.nodes) requireName('node name', node, isNodeName);
  checkWishes(spec);
  checkEnd(spec, nowMs);
  checkTime('restart_backoff_ms', spec.restartBackoffMs);
  if (spec.maxRestarts < 0) throw invalid('max_restarts', 'is negative');
  if (spec.restartPolicy === RestartPolicy.UNRECOGNIZED) throw invalid('restart_policy', 'is unknown');
  const maxRestarts = spec.maxRestarts || DEFAULT_MAX_RESTARTS;
  const checked = { ...spec, ...idsFor(spec, caller), maxRestarts };
  if (spec.slurm === undefined) return checked;
  if (spec.nodes.length === 0) throw invalid('nodes', 'of a Slurm job are missing');
  // Slurm runs its script again (T4).
  return { ...checked, slurm: checkSlurm(spec.slurm), restartPolicy: RestartPolicy.NEVER };
}

/**
 * What a job that is only tracked may ask for as well.
 * @throws HoldfastError INVALID_ARGUMENT naming the field
 */
export function checkWishes(spec: JobSpec): JobSpec {
  if (spec.name.length > MAX_NAME_LENGTH)
    throw invalid('name', `is longer than ${MAX_NAME_LENGTH} characters`);
  if (spec.intervalMs !== 0 && spec.intervalMs < MIN_INTERVAL_MS) {
    throw invalid('interval_ms', `is ${spec.intervalMs}; it is 0 for none, or at least ${MIN_INTERVAL_MS}`);
  }
  checkTime('interval_ms', spec.intervalMs);
  if (spec.account !== '' && !isAccount(spec.account))
    throw invalid('account', `is none: ${JSON.stringify(spec.account)}`);
  if (spec.cron !== '') checkCalendar(spec);
  if ([spec.intervalMs > 0, spec.cron !== '', spec.adaptive].filter(Boolean).length > 1) {
    throw invalid('interval_ms', 'was given with another schedule; give one of interval_ms, cron, adaptive');
  }
  checkRetention(spec.retention);
  return spec;
}

/** Whether checkpoints are taken without anybody asking for each. */
export function hasSchedule(spec: JobSpec): boolean {
  const { adaptive, cron, deadlineMs, intervalMs, walltimeMs } = spec;
  return adaptive || cron !== '' || intervalMs > 0 || deadlineMs > 0 || walltimeMs > 0;
}

function checkSlurm(task: SlurmTask): SlurmTask {
  if (!isCluster(task.cluster))
    throw invalid('slurm.cluster', `is no cluster: ${JSON.stringify(task.cluster)}`);
  if (!(task.jobId >= 1 && task.jobId < 2 ** 32)) throw invalid('slurm.job_id', `is no job: ${task.jobId}`);
  if (task.restartCount < 0) throw invalid('slurm.restart_count', 'is negative');
  if (!/^[0-9a-f]{1,64}$/.test(task.key)) throw invalid('slurm.key', 'is not hexadecimal');
  if (!/^[0-9a-f-]{0,64}$/.test(task.attempt)) throw invalid('slurm.attempt', 'is not hexadecimal');
  return { ...task, supersededBy: '', ended: '' };
}

/** @throws HoldfastError INVALID_ARGUMENT */
export function checkEnd({ deadlineMs, walltimeMs }: End, nowMs: number): void {
  if (deadlineMs < 0) throw invalid('deadline_ms', 'is negative');
  if (deadlineMs > nowMs + MAX_TIME_MS) throw invalid('deadline_ms', 'is more than ten years ahead');
  checkTime('walltime_ms', walltimeMs);
  if (deadlineMs > 0 && walltimeMs > 0) throw invalid('deadline_ms', 'and walltime_ms were both given');
}

function checkTime(field: string, ms: number): void {
  if (ms < 0) throw invalid(field, 'is negative');
  if (ms > MAX_TIME_MS) throw invalid(field, `is ${ms}: more than ten years`);
}

/** Of a run that begins now; 0: none. */
export function deadlineOf({ deadlineMs, walltimeMs }: End, nowMs: number): number {
  return walltimeMs > 0 ? nowMs + walltimeMs : deadlineMs;
}

/** The agent looks up supplementary groups in its node's user database at Launch: a request names none. */
function idsFor(spec: JobSpec, caller: Caller): Pick<JobSpec, 'uid' | 'gid'> {
  if (hasRole(caller, RIGHTS.submitJob.others)) return { uid: spec.uid, gid: spec.gid };
  return { uid: caller.uid, gid: caller.gid };
}

/** @throws HoldfastError INVALID_ARGUMENT */
export function checkRetention(policy: RetentionPolicy | undefined): RetentionPolicy | undefined {
  const wrong = RULES.find(({ field }) => policy !== undefined && !(policy[field] >= 0));
  if (wrong !== undefined) throw invalid(`retention rule ${wrong.name}`, 'is negative');
  return policy;
}

export function checkTexts(field: string, texts: readonly string[]): void {
  if (texts.some((text) => text.includes('\0'))) throw invalid(field, 'contains a NUL character');
}

export function checkEnvironment(environment: Readonly<Record<string, string>>): void {
  const names = Object.keys(environment);
  if (names.some((name) => name === '' || name.includes('=')))
    throw invalid('environment', 'has a malformed name');
  checkTexts('environment', [...names, ...Object.values(environment)]);
}

export function checkPath(field: string, path: string, isRequired: boolean): void {
  if (path === '' && !isRequired) return;
  checkTexts(field, [path]);
  if (!isAbsolute(path)) throw invalid(field, `is not an absolute path: ${JSON.stringify(path)}`);
}

export function invalid(field: string, problem: string): HoldfastError {
  return new HoldfastError('INVALID_ARGUMENT', `${field} ${problem}`);
}
