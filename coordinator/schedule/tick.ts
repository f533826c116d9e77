/**
 * One tick of a job's schedule: a checkpoint, or the reason why not. A tick is taken and the next one planned in one
 * durable step (S1), so no crash loses or repeats one.
 */
import { type Job, JobState } from '../../proto/gen/holdfast/v1/coordinator';
import { LiveMode } from '../../proto/gen/holdfast/v1/manifest';
import type { Context } from '../context';
import { newRecord } from '../operations/enqueue';
import type { TickOutcome } from '../queues/queues';
import { inputOf, keep, planned, ring } from './follow';
import { missedBetween, type TickKind } from './plan';
import type { ScheduleRecord } from './table';

function whySkipped({ operations }: Context, job: Job, kind: TickKind): string | null {
  // The last one before the deadline waits for its turn: there is none after it.
  const [open] = kind === 'deadline' ? [] : operations.openOf(job.id);
  if (open === undefined) return null;
  return `operation ${open.operation.id} is at ${open.operation.phase}`;
}

/** @param dueMs which tick: one that was replaced since is nobody's */
export async function tick(context: Context, id: string, dueMs: number): Promise<TickOutcome> {
  const { clock, decisions, gathering, jobs, log, operations, queues, schedules } = context;
  const job = jobs.find(id);
  const record = schedules.find(id);
  const due = record?.next;
  if (job === undefined || record === undefined || !due) return { skipped: 'the job has no tick any more' };
  if (due.dueMs !== dueMs) {
    ring(context, id, record);
    return { skipped: 'another tick has taken its place' };
  }
  if (job.state !== JobState.RUNNING) return { skipped: `the job is ${job.state}` };
  const waitMs = gathering.remainingMs(job);
  if (waitMs > 0) {
    await queues.ring(id, dueMs, clock.wallMs() + waitMs);
    return { skipped: 'it waits: its nodes may not all have registered yet' };
  }
  const missed = missedOf(context, job, record, dueMs);
  const skipped = whySkipped(context, job, due.kind);
  const next = planned(context, job, { ...record, last: { dueMs, kind: due.kind } });
  if (skipped !== null) {
    decisions.note(id, 'checkpoint', `skipped: ${skipped}`);
    keep(context, id, next);
    return { skipped };
  }
  if (missed > 0) decisions.note(id, 'checkpoint', `makes up for ${missed + 1} ticks that were missed`);
  const live = job.spec?.live ?? LiveMode.UNSPECIFIED;
  const urgency = due.kind === 'deadline' ? 'high' : 'normal';
  // Its batch system runs it again: what it would do after the last checkpoint it would do twice.
  const stop = due.kind === 'deadline' && job.spec?.slurm?.requeue === true;
  const cause = stop ? 'deadline' : '';
  const request = { kind: 'checkpoint', stop, cause, periodic: true, live, urgency, drains: '' } as const;
  const operation = newRecord(job, request, clock.wallMs());
  try {
    await operations.put(operation, schedules.put(id, next));
  } catch (err) {
    // Redis is away, and nobody else asks for this checkpoint: it is made, and is on record with its first phase.
    log.error({ job: id, err }, 'a tick could not be stored');
  }
  ring(context, id, next);
  await queues.add(operation);
  return { operation: operation.operation.id, lateMs: Math.max(0, operation.operation.startedMs - dueMs) };
}

function missedOf(context: Context, job: Job, record: ScheduleRecord, dueMs: number): number {
  const input = inputOf(context, job, record);
  return input === null ? 0 : missedBetween(input, dueMs, context.clock.wallMs());
}
