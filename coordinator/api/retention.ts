/** Retention, pins, garbage and usage for one caller: who may, then what. */
import { HoldfastError } from '../../core/errors';
import { manifestKey } from '../../core/manifest';
import { KEEP_ALL } from '../../core/retention';
import type { Identity } from '../../core/rpc/identity';
import { isRoot } from '../../core/rpc/identity';
import type {
  CheckpointSummary,
  CollectGarbageRequest,
  ExplainRetentionResponse,
  GetUsageResponse,
  JobCollection,
  PinCheckpointRequest,
  SetRetentionRequest,
  SetRetentionResponse,
} from '../../proto/gen/holdfast/v1/coordinator';
import type { Context } from '../context';
import { checkRetention } from '../jobs/spec';
import { collect, whySkipped } from '../retention/collect';
import { decideAll, holdsFor } from '../retention/decide';
import { pin, unpin } from '../retention/pins';
import { quotaOf } from '../retention/quota';
import { removeGeneration } from '../retention/remove';
import { isUneventful, reportDecisions, reportOf } from '../retention/report';
import { storedJobs } from '../retention/schedule';
import { policyOf, savePolicy } from '../retention/settings';
import { survey } from '../retention/survey';
import { sumByUser } from '../retention/usage';
import { maySee, ownerOf, requireOwnCheckpoint, requireOwnJob } from './authorize';

export async function explainRetention(
  context: Context,
  identity: Identity,
  id: string,
): Promise<ExplainRetentionResponse> {
  const job = requireOwnJob(identity, context.jobs.get(id));
  const decisions = reportDecisions(await decideAll(context, job.id));
  return { ...policyOf(context, job), decisions };
}

/** Applied from the job's next commit or sweep on. */
export async function setRetention(
  context: Context,
  identity: Identity,
  { job: id, policy }: SetRetentionRequest,
): Promise<SetRetentionResponse> {
  const { jobs, log, store } = context;
  const { spec } = requireOwnJob(identity, jobs.get(id));
  const checked = checkRetention(policy);
  await savePolicy(store, id, checked);
  const job = await jobs.update(id, () => ({ spec: spec && { ...spec, retention: checked } }));
  log.info({ job: id, uid: identity.uid, policy: checked ?? KEEP_ALL }, 'retention policy set');
  return policyOf(context, job);
}

/** Never between a removal's decision and its end. */
export async function pinCheckpoint(
  context: Context,
  identity: Identity,
  { ckptId, pinned }: PinCheckpointRequest,
): Promise<CheckpointSummary> {
  const { catalog, clock, log, removals, store } = context;
  const { job } = requireOwnCheckpoint(identity, await catalog.get(ckptId));
  return removals.run(job, async () => {
    const summary = { ...(await catalog.get(ckptId)), pinned };
    const { generation } = summary;
    if (pinned && (await store.stat(manifestKey(job, generation))) === null)
      throw new HoldfastError('NOT_FOUND', `checkpoint ${ckptId} does not exist any more: it was removed`);
    if (pinned) await pin(store, job, generation, { uid: identity.uid, atMs: clock.wallMs() });
    else await unpin(store, job, generation);
    await catalog.add(summary);
    log.info({ job, ckptId, generation, pinned, uid: identity.uid }, 'checkpoint pinned or unpinned');
    return summary;
  });
}

/** @throws HoldfastError WRONG_STATE for one that must stay, or while an operation is at work */
export async function removeCheckpoint(context: Context, identity: Identity, ckptId: number): Promise<void> {
  const { catalog, jobs, locks, removals, store } = context;
  const summary = requireOwnCheckpoint(identity, await catalog.get(ckptId));
  const { job } = summary;
  const busy = whySkipped(context, job, false);
  if (busy !== null) throw new HoldfastError('WRONG_STATE', `job ${job} is busy: ${busy}`, 'try again later');
  await locks.run(job, () =>
    removals.run(job, async () => {
      const summaries = await catalog.list(job);
      const found = await survey(store, job, summaries, false);
      const reason = holdsFor(context, jobs.get(job), found, summaries, true).get(summary.generation);
      if (reason !== undefined)
        throw new HoldfastError(
          'WRONG_STATE',
          `checkpoint ${ckptId} stays: ${reason}`,
          'unpin it, or end the job',
        );
      await removeGeneration(context, job, summary, `uid ${identity.uid} asked for it`);
    }),
  );
}

/** One job after the other: each needs its objects and manifests in memory. */
export async function collectGarbage(
  context: Context,
  identity: Identity,
  { dryRun, job }: CollectGarbageRequest,
): Promise<JobCollection[]> {
  const reports: JobCollection[] = [];
  for (const id of await jobsFor(context, identity, job)) {
    const outcome = dryRun ? { decided: await decideAll(context, id) } : await collect(context, id);
    reports.push(reportOf(id, outcome, context.policies().gcGraceMs));
  }
  return job === '' ? reports.filter((report) => !isUneventful(report)) : reports;
}

async function jobsFor(context: Context, identity: Identity, wanted: string): Promise<string[]> {
  const { jobs } = context;
  if (wanted !== '') return [requireOwnJob(identity, jobs.get(wanted)).id];
  if (isRoot(identity)) return storedJobs(context);
  const own = jobs.all().filter((job) => maySee(identity, ownerOf(job)));
  return own.map(({ id }) => id).sort();
}

export async function usageFor(context: Context, identity: Identity): Promise<GetUsageResponse> {
  const all = await context.usage.all();
  const jobs = all.filter(({ uid }) => isRoot(identity) || uid === identity.uid);
  return { jobs, users: sumByUser(jobs, (uid) => quotaOf(context, uid)) };
}
