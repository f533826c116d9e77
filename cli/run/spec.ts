/** What is submitted: the command with the caller's environment, directory and identity. */

import { HoldfastError } from '../../core/errors';
import {
  type JobSpec,
  type LiveMode,
  RestartPolicy,
  type RetentionPolicy,
} from '../../proto/gen/holdfast/v1/manifest';

const RESTART_POLICIES = {
  never: RestartPolicy.NEVER,
  same: RestartPolicy.SAME_NODES,
  any: RestartPolicy.ANY_NODES,
} as const;

export type RestartChoice = keyof typeof RESTART_POLICIES;
export const RESTART_CHOICES = Object.keys(RESTART_POLICIES) as RestartChoice[];

export interface JobRequest {
  readonly argv: string[];
  readonly name: string;
  readonly nodes: string[];
  /** 0: no periodic checkpoints. */
  readonly intervalMs: number;
  readonly live: LiveMode;
  readonly restart: RestartChoice | undefined;
  readonly maxRestarts: number | undefined;
  readonly outputPath: string;
  /** undefined: the coordinator's default. */
  readonly retention: RetentionPolicy | undefined;
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

/** A job with periodic checkpoints is restarted from them unless told otherwise; one without has nothing to use. */
function chooseRestart(request: JobRequest): RestartPolicy {
  if (request.maxRestarts === 0) return RestartPolicy.NEVER;
  return RESTART_POLICIES[request.restart ?? (request.intervalMs > 0 ? 'any' : 'never')];
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
    intervalMs: request.intervalMs,
    restartPolicy: chooseRestart(request),
    maxRestarts: request.maxRestarts ?? 0,
    name: request.name,
    live: request.live,
    retention: request.retention,
  };
}
