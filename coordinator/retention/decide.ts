/** From what is known of a job to what becomes of its generations and objects. Reads only: a dry run ends here. */
import { generationPrefix } from '../../core/manifest';
import type { CheckpointSummary, Job, JobUsage } from '../../proto/gen/holdfast/v1/coordinator';
import type { Context } from '../context';
import { openImports } from '../transfer/records';
import { holdsOf } from './holds';
import { marksOf } from './marks';
import { originOf } from './origin';
import { type Decision, planRetention } from './plan';
import { References } from './references';
import { policyOf } from './settings';
import { damageOf, listObjects, type Survey, survey } from './survey';
import { type Found, planSweep, type SweepPlan } from './sweep';

export interface Decided {
  readonly job: string;
  readonly decisions: readonly Decision[];
  /** null: nothing of the job may be swept (G5), or nobody asked. */
  readonly sweep: SweepPlan | null;
  readonly damage: readonly string[];
  /** What the catalog must forget. */
  readonly vanished: readonly CheckpointSummary[];
  /** After what was decided is done; null when nobody asked for a sweep. */
  readonly usage: JobUsage | null;
}

/** Generations only, from the catalog where that is enough. */
export async function decideGenerations(context: Context, job: string): Promise<Decided> {
  const known = context.jobs.find(job);
  const needsObjects = known !== undefined && policyOf(context, known).policy.maxBytes > 0;
  const summaries = await context.catalog.list(job);
  const found = await survey(context.store, job, summaries, needsObjects);
  const decisions = decisionsFor(context, job, found, summaries);
  const { vanished } = found;
  return { job, decisions, vanished, sweep: null, damage: damageOf(found, null), usage: null };
}

export async function decideAll(context: Context, job: string): Promise<Decided> {
  const { clock, policies, redis, store } = context;
  const objects = await listObjects(store, job);
  const summaries = await context.catalog.list(job);
  const found = await survey(store, job, summaries, true);
  const decisions = decisionsFor(context, job, found, summaries);
  const staying = decisions.filter(({ kept }) => kept).map(({ generation }) => generation);
  const references = new References(staying.map((generation) => generation.objects));
  const written = {
    epochs: new Map(found.generations.map(({ generation, epoch }) => [generation, epoch])),
    newest: Math.max(
      context.jobs.find(job)?.lastGeneration ?? 0,
      ...found.generations.map(({ generation }) => generation),
    ),
  };
  const sweep =
    found.unreadable.size > 0
      ? null
      : planSweep({
          objects,
          isNamed: (key) => references.has(key),
          attempts: await attemptsOf(context, job),
          marks: await marksOf(redis, job),
          causeOf: (key) => originOf(key, written),
          nowMs: clock.wallMs(),
          graceMs: policies().gcGraceMs,
        });
  const listed = new Map(objects.map(({ key, sizeBytes }) => [key, sizeBytes]));
  const storedBytes = sumBytes(objects) - sumBytes(sweep?.remove ?? []) + found.manifestBytes;
  const owner = context.jobs.find(job)?.spec ?? found.owner;
  const usage: JobUsage = {
    job,
    uid: owner?.uid,
    account: owner?.account ?? '',
    generations: staying.length + found.unreadable.size,
    liveBytes: references.bytes + found.manifestBytes,
    storedBytes,
    measuredMs: clock.wallMs(),
  };
  const { vanished } = found;
  return { job, decisions, vanished, sweep, damage: damageOf(found, listed), usage };
}

const sumBytes = (objects: readonly Found[]): number =>
  objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);

function decisionsFor(
  context: Context,
  id: string,
  found: Survey,
  summaries: readonly CheckpointSummary[],
): Decision[] {
  const { clock, jobs } = context;
  const job = jobs.find(id);
  const keepAll = (reason: string) =>
    found.generations.map((generation) => ({ generation, kept: true, reason, freedBytes: 0 }));
  if (job === undefined) return keepAll('the job is not in the catalog: rebuild it');
  const [unreadable] = found.unreadable.keys();
  if (unreadable !== undefined) return keepAll(`generation ${unreadable} cannot be read: in doubt all stay`);
  return planRetention({
    policy: policyOf(context, job).policy,
    generations: found.generations,
    holds: holdsFor(context, job, found, summaries, false),
    endedMs: job.endedMs > 0 ? job.endedMs : null,
    nowMs: clock.wallMs(),
  });
}

/** What must stay, by generation. */
export function holdsFor(
  context: Context,
  job: Job,
  { generations, pinned }: Survey,
  summaries: readonly CheckpointSummary[],
  isAsked: boolean,
): Map<number, string> {
  return holdsOf({
    ...{ job, pinned, isAsked, quarantined: quarantinedOf(summaries) },
    generations: generations.map(({ generation }) => generation),
    restarts: restartsOf(context, job.id, summaries),
    exported: context.transfers.exportedOf(job.id),
  });
}

function quarantinedOf(summaries: readonly CheckpointSummary[]): Set<number> {
  const quarantined = summaries.filter(({ quarantine }) => quarantine !== '');
  return new Set(quarantined.map(({ generation }) => generation));
}

/** By operation: the generation that it was asked to restart from. */
function restartsOf(
  { operations }: Context,
  job: string,
  summaries: readonly CheckpointSummary[],
): Map<string, number> {
  const restarts = new Map<string, number>();
  for (const { operation, request } of operations.openOf(job)) {
    if (request.kind !== 'restart' || request.ckptId === null) continue;
    const summary = summaries.find(({ ckptId }) => ckptId === request.ckptId);
    if (summary !== undefined) restarts.set(operation.id, summary.generation);
  }
  return restarts;
}

/** Prefixes of what is being written, or about to be named: operations whose commit is not resolved (C3), and imports. */
async function attemptsOf(context: Context, job: string): Promise<string[]> {
  const operations = context.operations.openOf(job).map(({ operation }) => operation);
  const imports = (await openImports(context)).filter(([, record]) => record.job === job);
  return [
    ...operations.map(({ generation, epoch }) => `${generationPrefix(job, generation, epoch)}/`),
    ...imports.map(([prefix]) => `${prefix}/`),
  ];
}
