/** A job has a next tick exactly while it runs and wants one. What decides about it is looked at whenever it changes. */
import { type Job, JobState } from '../../proto/gen/holdfast/v1/coordinator';
import type { Context } from '../context';
import { isEnded, nodesOf } from '../state/jobs';
import type { OperationRecord } from '../state/operations';
import { CLOCK_STEP_MS, isScheduled, nextTick, type PlanInput } from './plan';
import { stagger } from './stagger';
import { meanCost, type ScheduleRecord, withCost } from './table';

export function inputOf({ failures }: Context, job: Job, record: ScheduleRecord): PlanInput | null {
  const { spec, deadlineMs } = job;
  if (spec === undefined || job.state !== JobState.RUNNING || !isScheduled(spec, deadlineMs)) return null;
  return {
    ...{ spec, deadlineMs, nodeCount: nodesOf(job).length, observed: failures.now },
    ...{ cost: meanCost(record.costs), sinceMs: record.sinceMs },
    ...{ last: record.last, lastCheckpointMs: record.lastCheckpointMs },
  };
}

/** How long another job's checkpoint takes of which none was measured. */
const ASSUMED_MS = 10_000;

/** The record with its next tick as of now. Others' plans are avoided where the schedule leaves room. */
export function planned(context: Context, job: Job, record: ScheduleRecord): ScheduleRecord {
  const input = inputOf(context, job, record);
  const tick = input === null ? null : nextTick(input, context.clock.wallMs());
  const nodeCount = nodesOf(job).length;
  if (tick === null) return { ...record, nodeCount, next: null };
  const others = context.schedules.all().flatMap(([id, { next, costs }]) => {
    if (id === job.id || next === null) return [];
    return [{ startMs: next.startMs, durationMs: meanCost(costs)?.durationMs ?? ASSUMED_MS }];
  });
  const { startMs, avoided } = stagger(tick.dueMs, tick.windowMs, others);
  const rivals = avoided === 1 ? 'another one is' : `${avoided} others are`;
  const reason = avoided === 0 ? tick.reason : `${tick.reason}; begins later, ${rivals} planned then`;
  return { ...record, nodeCount, next: { ...tick, startMs, reason } };
}

/** Rings at the tick's start; a tick that was replaced rings for nothing. */
export function ring({ decisions, queues, log }: Context, job: string, { next }: ScheduleRecord): void {
  if (next !== null) decisions.note(job, 'schedule', next.reason);
  const change = next === null ? queues.silence(job) : queues.ring(job, next.dueMs, next.startMs);
  change.catch((err) => log.error({ job, err }, 'schedule not changed'));
}

const CHECK_MS = 60_000;

/** The result stops. */
export function followSchedules(context: Context): () => void {
  const { clock, jobs, operations, failures, log } = context;
  // A job whose schedule cannot be planned must stop neither what changed it nor the coordinator.
  const guarded = (job: string, step: () => void) => {
    try {
      step();
    } catch (err) {
      log.error({ job, err }, 'schedule not planned');
    }
  };
  // Nobody knows what the clock did before.
  let checkedMs = Infinity;
  for (const job of jobs.all()) guarded(job.id, () => begin(context, job, true));
  const stops = [
    jobs.changed.subscribe((job) => guarded(job.id, () => begin(context, job, false))),
    operations.changed.subscribe((record) => guarded(record.operation.job, () => learn(context, record))),
    failures.changed.subscribe(() => {
      for (const job of jobs.all()) if (job.spec?.adaptive) guarded(job.id, () => replan(context, job));
    }),
    clock.every(CHECK_MS, () => {
      const nowMs = clock.wallMs();
      const wasSetBack = nowMs < checkedMs;
      checkedMs = nowMs;
      for (const job of jobs.all()) guarded(job.id, () => check(context, job, wasSetBack));
    }),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}

/** A tick that is known stays as it is, also when its time has passed while no coordinator was there. */
function begin(context: Context, job: Job, isStart: boolean): void {
  const known = context.schedules.find(job.id);
  const isWanted = job.state === JobState.RUNNING && isScheduled(job.spec, job.deadlineMs);
  if (!isWanted) {
    if (known !== undefined) end(context, job, known);
    return;
  }
  const isSameRun = known !== undefined && known.incarnation === job.incarnation;
  if (isSameRun && known.next !== null) {
    if (isStart) ring(context, job.id, known);
    // More nodes fail more often: a launcher's daemons join one by one.
    else if (job.spec?.adaptive && known.nodeCount !== nodesOf(job).length) replan(context, job);
    return;
  }
  const fresh: ScheduleRecord = {
    ...{ incarnation: job.incarnation, sinceMs: context.clock.wallMs(), last: null, next: null },
    ...{ lastCheckpointMs: 0, costs: known?.costs ?? [], nodeCount: 0 },
  };
  const record = planned(context, job, isSameRun ? known : fresh);
  if (record.next !== null || !isSameRun) keep(context, job.id, record);
}

/** What one costs is still true if it is restarted; few jobs are that have ended by themselves. */
function end(context: Context, job: Job, known: ScheduleRecord): void {
  if (known.next !== null) keep(context, job.id, { ...known, next: null });
  if (job.state !== JobState.COMPLETED && job.state !== JobState.FAILED) return;
  context.schedules
    .remove(job.id)
    .catch((err) => context.log.error({ job: job.id, err }, 'schedule not removed'));
}

/** A checkpoint tells what one costs, and that work was saved. */
function learn(context: Context, { operation }: OperationRecord): void {
  const known = context.schedules.find(operation.job);
  const { summary } = operation;
  if (known === undefined || operation.phase !== 'DONE' || summary === undefined) return;
  const measured = {
    ...known,
    costs: withCost(known.costs, summary),
    lastCheckpointMs: Math.max(known.lastCheckpointMs, operation.startedMs),
  };
  const job = context.jobs.get(operation.job);
  const isMovable = depends(job) && !isDue(context, known);
  keep(context, job.id, isMovable ? planned(context, job, measured) : measured);
}

/** It rings, or has to: whatever changes now is for the one after it (S1). */
function isDue({ clock }: Context, { next }: ScheduleRecord): boolean {
  return next !== null && next.dueMs <= clock.wallMs();
}

/** On what a checkpoint costs. */
function depends(job: Job): boolean {
  return !isEnded(job) && (job.spec?.adaptive === true || job.deadlineMs > 0);
}

function replan(context: Context, job: Job): void {
  const known = context.schedules.find(job.id);
  if (known === undefined || known.next === null || isDue(context, known)) return;
  keep(context, job.id, planned(context, job, known));
}

/** Nothing is waited for that does not come (S4). */
function check(context: Context, job: Job, wasSetBack: boolean): void {
  const known = context.schedules.find(job.id);
  if (known === undefined || known.next === null) return;
  const nowMs = context.clock.wallMs();
  const { dueMs, startMs } = known.next;
  if (startMs < nowMs - CLOCK_STEP_MS) ring(context, job.id, known);
  if (!wasSetBack || dueMs <= nowMs) return;
  const fresh = planned(context, job, known);
  if (fresh.next !== null && fresh.next.dueMs < dueMs - CLOCK_STEP_MS) keep(context, job.id, fresh);
}

export function keep(context: Context, job: string, record: ScheduleRecord): void {
  const before = context.schedules.find(job)?.next ?? null;
  const hasMoved = before?.dueMs !== record.next?.dueMs || before?.startMs !== record.next?.startMs;
  context.schedules.save(job, record).catch((err) => context.log.error({ job, err }, 'schedule not stored'));
  if (hasMoved) ring(context, job, record);
}
