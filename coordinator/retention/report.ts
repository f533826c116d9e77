/** What was decided, as callers see it. Pure. */
import type { Garbage, JobCollection, RetentionDecision } from '../../proto/gen/holdfast/v1/coordinator';
import type { Outcome } from './collect';
import type { Decided } from './decide';
import type { Decision } from './plan';
import type { Condemned, SweepPlan } from './sweep';

export function reportOf(job: string, outcome: Outcome, graceMs: number): JobCollection {
  if ('skipped' in outcome)
    return { job, skipped: outcome.skipped, decisions: [], garbage: [], usage: undefined, damage: [] };
  const { decided } = outcome;
  return {
    job,
    skipped: '',
    decisions: reportDecisions(decided),
    garbage: decided.sweep === null ? [] : reportGarbage(decided.sweep, graceMs),
    usage: decided.usage ?? undefined,
    damage: [...decided.damage],
  };
}

/** Nothing to tell of the job: it is not listed when all are. */
export function isUneventful({ skipped, decisions, garbage, damage }: JobCollection): boolean {
  return skipped === '' && decisions.length === 0 && garbage.length === 0 && damage.length === 0;
}

export function reportDecisions({ decisions }: Decided): RetentionDecision[] {
  return decisions.map(({ generation: { ckptId, generation, createdMs }, ...fate }: Decision) => ({
    ...{ ckptId, generation, createdMs },
    ...fate,
  }));
}

/** One line for what shares prefix, cause and fate. */
function reportGarbage({ condemn, remove, waiting }: SweepPlan, graceMs: number): Garbage[] {
  const lines = new Map<string, Garbage>();
  const add = ({ key, sizeBytes, mark: { cause, sinceMs } }: Condemned, deleted: boolean) => {
    const prefix = key.split('/').slice(0, 4).join('/');
    const id = JSON.stringify([prefix, cause, sinceMs, deleted]);
    const line = lines.get(id);
    lines.set(id, {
      ...{ prefix, cause, deleted },
      objectCount: (line?.objectCount ?? 0) + 1,
      bytes: (line?.bytes ?? 0) + sizeBytes,
      condemnedMs: sinceMs,
      deleteAfterMs: sinceMs + graceMs,
    });
  };
  for (const each of remove) add(each, true);
  for (const each of [...waiting, ...condemn]) add(each, false);
  return [...lines.values()];
}
