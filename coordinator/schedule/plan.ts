/** When a job's next checkpoint by schedule is due, and why. Pure. */
import type { JobSpec } from '../../proto/gen/holdfast/v1/manifest';
import type { Observed } from '../failures/estimate';
import { nextTime } from './cron';
import { adaptiveInterval, type Cost } from './interval';
import { staggerWindowMs } from './stagger';
import { moment, seconds } from './words';

export const TICK_KINDS = ['every', 'cron', 'auto', 'deadline'] as const;
export type TickKind = (typeof TICK_KINDS)[number];

export interface Tick {
  readonly dueMs: number;
  readonly kind: TickKind;
  readonly reason: string;
  /** How much later it may begin (stagger.ts). */
  readonly windowMs: number;
}

export interface PlanInput {
  readonly spec: Pick<JobSpec, 'intervalMs' | 'cron' | 'timeZone' | 'adaptive'>;
  /** 0: none. */
  readonly deadlineMs: number;
  readonly nodeCount: number;
  /** null: nothing was measured yet. */
  readonly cost: Cost | null;
  readonly observed: Observed;
  /** When this run of the job began to be scheduled. */
  readonly sinceMs: number;
  /** The last tick that was taken or skipped. */
  readonly last: Pick<Tick, 'dueMs' | 'kind'> | null;
  /** When the job's newest checkpoint began, whoever asked for it; 0: none. */
  readonly lastCheckpointMs: number;
}

export function isScheduled(spec: PlanInput['spec'] | undefined, deadlineMs: number): boolean {
  return spec !== undefined && (spec.intervalMs > 0 || spec.cron !== '' || spec.adaptive || deadlineMs > 0);
}

/** A ring may be a little early; what lies further ahead is of a clock that was set back since (S4). */
export const CLOCK_STEP_MS = 60_000;

/** A time of the past. */
function pastMs(ms: number, nowMs: number): number {
  return ms > nowMs + CLOCK_STEP_MS ? nowMs : ms;
}

/** The next tick lies after the last one and not in the past: what was missed meanwhile is one tick, not many. */
export function nextTick(input: PlanInput, nowMs: number): Tick | null {
  const { deadlineMs, last, sinceMs } = input;
  const afterMs = pastMs(Math.max(sinceMs, last?.dueMs ?? 0), nowMs);
  if (deadlineMs <= nowMs) return periodicTick(input, afterMs, nowMs);
  // Whatever is taken after the last one would not be there in time; a job that outlives its deadline goes on.
  if (last?.kind === 'deadline') return periodicTick(input, deadlineMs, nowMs);
  const final = deadlineTick(input, nowMs);
  const periodic = periodicTick(input, afterMs, nowMs);
  const isInTime = periodic !== null && periodic.dueMs + (input.cost?.durationMs ?? 0) < final.dueMs;
  return isInTime ? periodic : final;
}

function periodicTick(input: PlanInput, afterMs: number, nowMs: number): Tick | null {
  const { spec, cost, observed, nodeCount, lastCheckpointMs } = input;
  if (spec.adaptive) {
    const { intervalMs, reason } = adaptiveInterval(cost, observed, nodeCount);
    // Work is saved by any checkpoint, so the interval counts from the newest; it is a time of work, without the hold.
    const fromMs = Math.max(afterMs, pastMs(lastCheckpointMs, nowMs)) + (cost?.heldMs ?? 0);
    const dueMs = Math.max(fromMs + intervalMs, nowMs);
    return { dueMs, kind: 'auto', reason, windowMs: staggerWindowMs(intervalMs) };
  }
  if (spec.cron !== '') {
    const dueMs = nextTime(spec, Math.max(afterMs, nowMs));
    if (dueMs === null) return null;
    const periodMs = (nextTime(spec, dueMs) ?? Infinity) - dueMs;
    const reason = `cron ${spec.cron} in ${spec.timeZone || 'UTC'}`;
    return { dueMs, kind: 'cron', reason, windowMs: staggerWindowMs(periodMs) };
  }
  const { intervalMs } = spec;
  if (intervalMs <= 0) return null;
  const passed = Math.max(0, Math.floor((nowMs - afterMs) / intervalMs));
  const dueMs = afterMs + (passed + 1) * intervalMs;
  return {
    ...{ dueMs, kind: 'every', reason: `every ${seconds(intervalMs)}` },
    windowMs: staggerWindowMs(intervalMs),
  };
}

/** While nothing was measured: a guess, but not so long that a short run spends its time with it. */
const GUESS_MS = 5 * 60_000;
const GUESS_PART = 0.25;
const MIN_MARGIN_MS = 10_000;
const MARGIN_PART = 0.5;

function deadlineTick({ deadlineMs, cost, sinceMs }: PlanInput, nowMs: number): Tick {
  const runMs = Math.max(0, deadlineMs - sinceMs);
  const costMs = cost?.durationMs || Math.min(GUESS_MS, runMs * GUESS_PART);
  const marginMs = Math.min(Math.max(MIN_MARGIN_MS, costMs * MARGIN_PART), runMs * GUESS_PART);
  const source = cost ? `one takes ${seconds(costMs)}` : `one may take ${seconds(costMs)}`;
  const reason = `the last one before the deadline ${moment(deadlineMs)}: ${source}, margin ${seconds(marginMs)}`;
  const dueMs = Math.max(Math.round(deadlineMs - costMs - marginMs), nowMs);
  return { dueMs, kind: 'deadline', reason, windowMs: 0 };
}

/** Ticks that fell between a due one and now; they are made up for by it. */
export function missedBetween(input: PlanInput, dueMs: number, nowMs: number): number {
  const { spec } = input;
  if (spec.intervalMs > 0) return Math.max(0, Math.floor((nowMs - dueMs) / spec.intervalMs));
  if (spec.cron === '') return 0;
  let missed = 0;
  for (let ms = nextTime(spec, dueMs); ms !== null && ms <= nowMs && missed < MAX_COUNTED; missed++)
    ms = nextTime(spec, ms);
  return missed;
}

const MAX_COUNTED = 1000;
