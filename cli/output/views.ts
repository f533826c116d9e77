/**
 * The JSON that scripts see, field by field, so that a change of the protocol is not a change of the output.
 * Every field is always there; what is unknown is null or empty. Times are Unix milliseconds.
 */

import type { ErrorDetail, Finding, SlurmProcess } from '../../proto/gen/holdfast/v1/agent';
import type {
  CheckpointSummary,
  Job,
  MemoryFilling,
  Node,
  Operation,
  Schedule,
  SlurmRecord,
} from '../../proto/gen/holdfast/v1/coordinator';
import type { SlurmTask } from '../../proto/gen/holdfast/v1/manifest';
import { formatTime } from './format';
import { viewPolicy } from './retention';

export type JobStateName =
  | 'STARTING'
  | 'RUNNING'
  | 'RESTARTING'
  | 'COMPLETED'
  | 'FAILED'
  | 'STOPPED'
  | 'LOST'
  | 'UNSPECIFIED';

const withoutPrefix = (name: string, prefix: string) =>
  name.startsWith(prefix) ? name.slice(prefix.length) : name;

/** JOB_STATE_RUNNING → RUNNING. */
export function jobState(job: Job): JobStateName {
  return withoutPrefix(job.state, 'JOB_STATE_') as JobStateName;
}

export function hasEnded(job: Job): boolean {
  return ['COMPLETED', 'FAILED', 'STOPPED', 'LOST'].includes(jobState(job));
}

/** How far the memory of a lazy restart is there; empty when all of it is. */
export function fillingText({ filling }: Job): string {
  if (filling.length === 0) return '';
  const sum = (bytes: (tree: MemoryFilling) => number) =>
    filling.reduce((total, tree) => total + bytes(tree), 0);
  const percent = Math.floor(
    (100 * sum((tree) => tree.residentBytes)) /
      Math.max(
        1,
        sum((tree) => tree.totalBytes),
      ),
  );
  const since = filling.map((tree) => tree.storeUnavailableSinceMs).filter((ms) => ms > 0);
  const store = since.length > 0 ? `, store unavailable since ${formatTime(Math.min(...since))}` : '';
  return `lazy: ${percent} % resident${store}`;
}

/** The job's nodes, the main tree's first, each once. */
export function jobNodes(job: Job): string[] {
  const trees = [...job.trees].sort((a, b) => Number(b.main) - Number(a.main));
  return [...new Set(trees.map((tree) => tree.node))];
}

function viewSchedule({ dueMs, startMs, kind, reason }: Schedule) {
  return { dueMs, startMs, kind, reason };
}

function viewSlurm({ cluster, jobId, restartCount }: SlurmTask) {
  return { cluster, jobId, restartCount };
}

export function viewJob(job: Job) {
  return {
    id: job.id,
    name: job.spec?.name ?? '',
    state: jobState(job),
    reason: job.reason,
    exitCode: job.exitCode ?? null,
    uid: job.spec?.uid ?? null,
    command: job.spec?.argv ?? [],
    workingDirectory: job.spec?.workingDirectory ?? '',
    outputPath: job.spec?.outputPath ?? '',
    intervalMs: job.spec?.intervalMs ?? 0,
    cron: job.spec?.cron ?? '',
    timeZone: job.spec?.timeZone ?? '',
    adaptive: job.spec?.adaptive ?? false,
    deadlineMs: job.deadlineMs,
    schedule: job.schedule ? viewSchedule(job.schedule) : null,
    decisions: job.decisions.map(({ timeMs, subject, reason }) => ({ timeMs, subject, reason })),
    restartPolicy: withoutPrefix(job.spec?.restartPolicy ?? '', 'RESTART_POLICY_'),
    maxRestarts: job.spec?.maxRestarts ?? 0,
    retention: viewPolicy(job.spec?.retention),
    nodes: jobNodes(job),
    trees: job.trees.map(({ treeId, node, rootPid, main }) => ({ treeId, node, rootPid, main })),
    incarnation: job.incarnation,
    restartBackoffMs: job.spec?.restartBackoffMs ?? 0,
    restartCount: job.restartCount,
    restartsSinceCommit: job.restartsSinceCommit,
    lastGeneration: job.lastGeneration,
    filling: job.filling.map(({ node, treeId, residentBytes, totalBytes, storeUnavailableSinceMs }) => {
      return { node, treeId, residentBytes, totalBytes, storeUnavailableSinceMs };
    }),
    slurm: job.spec?.slurm ? viewSlurm(job.spec.slurm) : null,
    stopCause: job.stopCause,
    tracked: job.tracked,
    createdMs: job.createdMs,
    endedMs: job.endedMs,
  };
}

export function viewCheckpoint(summary: CheckpointSummary) {
  const { _unknownFields, ...fields } = summary;
  return fields;
}

/** A node that is drained may be up or lost; only the loss is worse. */
export function nodeState({ alive, drain }: Node): 'up' | 'drained' | 'LOST' {
  if (!alive) return 'LOST';
  return drain === undefined ? 'up' : 'drained';
}

export function viewNode(node: Node) {
  return {
    name: node.name,
    alive: node.alive,
    lastSeenMs: node.lastSeenMs,
    version: node.version,
    hostname: node.facts?.hostname ?? '',
    addresses: node.facts?.addresses ?? [],
    architecture: node.facts?.architecture ?? '',
    kernelRelease: node.facts?.kernelRelease ?? '',
    criuVersion: node.facts?.criuVersion ?? '',
    memoryBytes: node.facts?.memoryBytes ?? 0,
    cpuFlags: node.facts?.cpuFlags ?? [],
    drain: node.drain
      ? { sinceMs: node.drain.sinceMs, reason: node.drain.reason, restart: node.drain.restart }
      : null,
  };
}

function viewError(error: ErrorDetail | undefined) {
  return error ? { code: error.code, message: error.message, remedy: error.remedy } : null;
}

function viewFinding({ node, pid, fd, object, problem, remedy }: Finding) {
  return { node, pid, fd, object, problem, remedy };
}

export function viewOperation(operation: Operation) {
  return {
    id: operation.id,
    kind: withoutPrefix(operation.kind, 'OPERATION_KIND_'),
    job: operation.job,
    ckptId: operation.ckptId,
    generation: operation.generation,
    epoch: operation.epoch,
    phase: operation.phase,
    error: viewError(operation.error),
    findings: operation.findings.map(viewFinding),
    decisions: operation.decisions,
    summary: operation.summary ? viewCheckpoint(operation.summary) : null,
    trees: operation.trees.map(({ treeId, node, rootPid, main }) => ({ treeId, node, rootPid, main })),
    startedMs: operation.startedMs,
    endedMs: operation.endedMs,
  };
}

export function viewSlurmRecord(record: SlurmRecord) {
  const {
    cluster,
    jobId,
    restartCount,
    node,
    uid,
    user,
    nodeList,
    registeredMs,
    endedMs,
    heardMs,
    untracked,
  } = record;
  return {
    ...{ cluster, jobId, restartCount, node, uid, user, nodeList, heardMs, untracked },
    registeredMs: registeredMs || null,
    endedMs: endedMs || null,
  };
}

export function viewSlurmProcess(process: SlurmProcess) {
  const { job, refusal } = process;
  const { name, jobId, step, task, node, pid, uid, command, suspended } = process;
  return {
    ...{ name, jobId, step, task, node, pid, uid, command },
    ...{ state: suspended ? 'suspended' : 'running', job: job || null, refusal: refusal || null },
  };
}
