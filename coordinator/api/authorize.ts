/** Who may see and do what (docs/security.md): one table, and the decisions by it. Pure. */
import { HoldfastError } from '../../core/errors';
import type { Identity } from '../../core/rpc/identity';
import type { CheckpointSummary, Job } from '../../proto/gen/holdfast/v1/coordinator';
import type { JobSpec, Manifest } from '../../proto/gen/holdfast/v1/manifest';
import type { Call } from './handlers';

/** From the least on: each may do what those before it may. */
export const ROLES = ['user', 'operator', 'admin'] as const;
export type Role = (typeof ROLES)[number];

export interface Caller extends Identity {
  readonly role: Role;
}

export interface Rule {
  /** Who may do it at all: to what is their own, or is nobody's. */
  readonly own: Role;
  /** Who may do it to what belongs to somebody else, or is shown that. */
  readonly others: Role;
}

export type Action = Call | 'collectGarbageDryRun';

const rule = (own: Role, others: Role): Rule => ({ own, others });

/** An operator keeps the cluster running; whoever may act in another user's name is an admin. */
export const RULES: Readonly<Record<Action, Rule>> = {
  submitJob: rule('user', 'admin'),
  trackProcess: rule('user', 'admin'),
  launchMember: rule('user', 'admin'),
  listJobs: rule('user', 'operator'),
  getJob: rule('user', 'operator'),
  killJob: rule('user', 'operator'),
  listNodes: rule('user', 'user'),
  listCheckpoints: rule('user', 'operator'),
  getCheckpoint: rule('user', 'operator'),
  checkpoint: rule('user', 'operator'),
  restart: rule('user', 'admin'),
  changeDeadline: rule('user', 'operator'),
  getOperation: rule('user', 'operator'),
  watch: rule('user', 'operator'),
  rebuildCatalog: rule('admin', 'admin'),
  export: rule('user', 'admin'),
  import: rule('user', 'admin'),
  explainRetention: rule('user', 'operator'),
  setRetention: rule('user', 'admin'),
  pinCheckpoint: rule('user', 'admin'),
  collectGarbage: rule('user', 'admin'),
  collectGarbageDryRun: rule('user', 'operator'),
  getUsage: rule('user', 'operator'),
  removeCheckpoint: rule('user', 'admin'),
  drain: rule('operator', 'operator'),
  undrain: rule('operator', 'operator'),
  // The agents, as their node's root.
  reportSlurmJobs: rule('admin', 'admin'),
  listSlurmJobs: rule('user', 'operator'),
  listSlurmTasks: rule('user', 'operator'),
};

export function hasRole({ role }: Caller, least: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(least);
}

/** @throws HoldfastError PERMISSION_DENIED for a call that is not for everybody */
export function requireRole(caller: Caller, call: Call): void {
  const { own } = RULES[call];
  if (hasRole(caller, own)) return;
  throw new HoldfastError(
    'PERMISSION_DENIED',
    `${namesFrom(own)} may call ${call}; the caller is uid ${caller.uid}`,
    `ask root, or have the uid added to the coordinator's setting ${own}s`,
  );
}

export function mayAct(caller: Caller, action: Action, owner: number): boolean {
  return caller.uid === owner || hasRole(caller, RULES[action].others);
}

/** ckpt_unpriv_allowed, with the meaning that it has in Linux-CR: 0 neither, 1 checkpoints, 2 restarts, too. */
export type UnprivilegedAllowed = 0 | 1 | 2;

interface Need {
  readonly allowedFrom: UnprivilegedAllowed;
  /** Who may in any case. */
  readonly role: Role;
  readonly may: string;
  readonly remedy: string;
}

const NEEDS: Readonly<Record<'checkpoint' | 'schedule' | 'restart', Need>> = {
  checkpoint: {
    allowedFrom: 1,
    role: 'operator',
    may: 'checkpoint',
    remedy: 'ask an operator for it',
  },
  schedule: {
    allowedFrom: 1,
    role: 'operator',
    may: 'have checkpoints scheduled',
    remedy: 'submit the job without --every, --cron, --walltime and --deadline',
  },
  restart: {
    allowedFrom: 2,
    role: 'admin',
    may: 'restart or import',
    remedy: 'ask an admin for it',
  },
};

/** @throws HoldfastError PERMISSION_DENIED naming the policy */
export function requirePrivilege(
  caller: Caller,
  act: keyof typeof NEEDS,
  allowed: UnprivilegedAllowed,
): void {
  const { allowedFrom, role, may, remedy } = NEEDS[act];
  if (allowed >= allowedFrom || hasRole(caller, role)) return;
  throw new HoldfastError(
    'PERMISSION_DENIED',
    `ckpt_unpriv_allowed is ${allowed}: ${namesFrom(role)} may ${may}; the caller is uid ${caller.uid}`,
    `${remedy}, or have ckpt-unpriv-allowed set to ${allowedFrom} in the coordinator's configuration`,
  );
}

const namesFrom = (role: Role): string => (role === 'admin' ? 'only admins' : 'only operators and admins');

export function ownerOf(job: Job): number {
  return job.spec?.uid ?? 0;
}

/** @throws HoldfastError PERMISSION_DENIED */
export function requireJob(caller: Caller, action: Action, job: Job): Job {
  if (mayAct(caller, action, ownerOf(job))) return job;
  throw denied(caller, action, `job ${job.id}`);
}

/** @throws HoldfastError PERMISSION_DENIED */
export function requireCheckpoint(
  caller: Caller,
  action: Action,
  summary: CheckpointSummary,
): CheckpointSummary {
  if (mayAct(caller, action, summary.uid)) return summary;
  throw denied(caller, action, `checkpoint ${summary.ckptId}`);
}

function denied(caller: Caller, action: Action, object: string): HoldfastError {
  const message = `${object} belongs to another user; the caller is uid ${caller.uid}`;
  const helper = RULES[action].others === 'admin' ? 'an admin' : 'an operator';
  return new HoldfastError('PERMISSION_DENIED', message, `ask its owner, ${helper} or root`);
}

/** A job's environment may hold secrets: it is for who could read it in the job's processes as well. */
export function shownTo(caller: Caller, job: Job): Job {
  return { ...job, spec: specFor(caller, job.spec) };
}

export function manifestFor(caller: Caller, manifest: Manifest): Manifest {
  const { header } = manifest;
  return { ...manifest, header: header && { ...header, spec: specFor(caller, header.spec) } };
}

function specFor(caller: Caller, spec: JobSpec | undefined): JobSpec | undefined {
  if (spec === undefined || caller.uid === spec.uid || hasRole(caller, 'admin')) return spec;
  return { ...spec, environment: {} };
}
