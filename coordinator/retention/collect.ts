/** Retention and sweep of one job: decided, then done, in the order of docs/architecture.md ("Crash ordering of a removal"). */
import { faultPoint } from '../../core/faults';
import { isKeepAll } from '../../core/retention';
import type { CheckpointSummary } from '../../proto/gen/holdfast/v1/coordinator';
import type { Context } from '../context';
import { amountOf } from './collecting';
import { type Decided, decideAll, decideGenerations } from './decide';
import { mark, unmark } from './marks';
import { removeGeneration } from './remove';
import { policyOf } from './settings';
import type { SweepPlan } from './sweep';

const PARALLEL = 8;

export type Outcome = { readonly decided: Decided } | { readonly skipped: string };

/**
 * Why the job is left alone for now; null: it is not.
 * @param isLocked under the job's lock: operations that wait for it are nothing to wait for
 */
export function whySkipped(
  { fleet, gathering, jobs, operations }: Context,
  id: string,
  isLocked: boolean,
): string | null {
  const isInTheWay = (phase: string) => !(isLocked && phase === 'QUEUED');
  const open = operations.openOf(id).find(({ operation }) => isInTheWay(operation.phase));
  if (open !== undefined) return `operation ${open.operation.id} is at ${open.operation.phase}`;
  const job = jobs.find(id);
  if (job === undefined) return null;
  if (gathering.remainingMs(job) > 0) return 'its nodes may not all have registered yet';
  const isFilling = fleet.fillingOf(id, job.incarnation).length > 0;
  // The record of what it was restarted from is lost with Redis.
  if (isFilling && job.restoredGeneration === 0) return 'its memory is still being filled';
  return null;
}

/** Waits for the job's lock, but not for an operation of hours. */
export async function collect(context: Context, job: string): Promise<Outcome> {
  return measured(context, async () => {
    const skipped = whySkipped(context, job, false);
    if (skipped !== null) return { skipped };
    return deleted(context, job, await context.locks.run(job, () => decideAndDo(context, job, decideAll)));
  });
}

async function measured({ clock, collecting }: Context, sweep: () => Promise<Outcome>): Promise<Outcome> {
  const beganMs = clock.monotonicMs();
  let outcome: 'ok' | 'skipped' | 'failed' = 'failed';
  try {
    const result = await sweep();
    outcome = 'decided' in result && result.decided.sweep !== null ? 'ok' : 'skipped';
    return result;
  } finally {
    collecting.swept.emit({ outcome, ms: clock.monotonicMs() - beganMs });
  }
}

/**
 * After a commit: what the policy removes, without reading what it need not.
 * @param isSweepDue the whole of it
 */
export async function collectAfterCommit(
  context: Context,
  summary: CheckpointSummary,
  isSweepDue: boolean,
): Promise<void> {
  const { jobs, locks, usage } = context;
  const { job } = summary;
  const outcome = await locks.run(job, async () => {
    await usage.addCommitted(summary);
    if (isSweepDue) return decideAndDo(context, job, decideAll);
    if (isKeepAll(policyOf(context, jobs.get(job)).policy)) return null;
    return decideAndDo(context, job, decideGenerations);
  });
  if (outcome !== null) await deleted(context, job, outcome);
}

async function decideAndDo(
  context: Context,
  job: string,
  decide: (context: Context, job: string) => Promise<Decided>,
): Promise<Outcome> {
  const skipped = whySkipped(context, job, true);
  if (skipped !== null) return { skipped };
  const decided = await context.removals.run(job, async () => {
    const decided = await decide(context, job);
    faultPoint('coordinator.gc.planned');
    for (const { ckptId } of decided.vanished) await context.catalog.remove(ckptId);
    let areRemoved = true;
    for (const { generation, kept, reason } of decided.decisions)
      if (!kept && !(await removeGeneration(context, job, generation, { cause: 'policy', reason })))
        areRemoved = false;
    // What stayed names objects that the plan takes for garbage (G2).
    return areRemoved ? decided : { ...decided, sweep: null, usage: null };
  });
  if (decided.sweep !== null) await condemn(context, job, decided.sweep);
  // What is deleted next is not in it.
  if (decided.usage !== null) await context.usage.put(decided.usage);
  return { decided };
}

async function condemn({ collecting, redis }: Context, job: string, plan: SweepPlan): Promise<void> {
  await unmark(redis, job, plan.staleMarks);
  await mark(redis, job, plan.condemn);
  collecting.condemned.emit(amountOf(plan.condemn));
  faultPoint('coordinator.gc.condemned');
}

/** Without the job's lock: garbage stays garbage (G2), and there may be much of it. */
async function deleted(context: Context, job: string, outcome: Outcome): Promise<Outcome> {
  if ('decided' in outcome && outcome.decided.sweep !== null)
    await deleteObjects(context, job, outcome.decided.sweep);
  return outcome;
}

async function deleteObjects(
  { collecting, log, redis, store }: Context,
  job: string,
  plan: SweepPlan,
): Promise<void> {
  const keys = plan.remove.map(({ key }) => key);
  const next = plan.remove.values();
  const worker = async () => {
    for (const object of next) {
      await store.delete(object.key);
      collecting.deleted.emit(amountOf([object]));
      faultPoint('coordinator.gc.object-deleted');
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  await unmark(redis, job, keys);
  const counts = { condemned: plan.condemn.length, waiting: plan.waiting.length, deleted: keys.length };
  if (plan.condemn.length + keys.length > 0) log.info({ job, ...counts }, 'garbage swept');
}
