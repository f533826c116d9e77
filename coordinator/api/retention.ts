/** Retention, pins, garbage and usage for one caller: who may, then what. */
import { HoldfastError } from '../../core/errors';
import { manifestKey } from '../../core/manifest';
import { KEEP_ALL } from '../../core/retention';
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
import { accountQuotaOf, quotaOf } from '../retention/quota';
import { removeGeneration } from '../retention/remove';
import { isUneventful, reportDecisions, reportOf } from '../retention/report';
import { storedJobs } from '../retention/schedule';
import { policyOf, savePolicy } from '../retention/settings';
import { survey } from '../retention/survey';
import { sumByAccount, sumByUser } from '../retention/usage';
import {
  type Action,
  type Caller,
  hasRole,
  mayAct,
  ownerOf,
  RULES,
  requireCheckpoint,
  requireJob,
} from './authorize';

export async function explainRetention(
  context: Context,
  caller: Caller,
  id: string,
): Promise<ExplainRetentionResponse> {
  const job = requireJob(caller, 'explainRetention', context.jobs.get(id));
  const decisions = reportDecisions(await decideAll(context, job.id));
  return { ...policyOf(context, job), decisions };
}

/** Applied from the job's next commit or sweep on. */
export async function setRetention(
  context: Context,
  caller: Caller,
  { job: id, policy }: SetRetentionRequest,
): Promise<SetRetentionResponse> {
  const { jobs, log, store } = context;
  const { spec } = requireJob(caller, 'setRetention', jobs.get(id));
  const checked = checkRetention(policy);
  await savePolicy(store, id, checked);
  const job = await jobs.update(id, () => ({ spec: spec && { ...spec, retention: checked } }));
  log.info({ job: id, uid: caller.uid, policy: checked ?? KEEP_ALL }, 'retention policy set');
  return policyOf(context, job);
}

/** Never between a removal's decision and its end. */
export async function pinCheckpoint(
  context: Context,
  caller: Caller,
  { ckptId, pinned }: PinCheckpointRequest,
): Promise<CheckpointSummary> {
  const { catalog, clock, log, removals, store } = context;
  const { job } = requireCheckpoint(caller, 'pinCheckpoint', await catalog.get(ckptId));
  return removals.run(job, async () => {
    const summary = { ...(await catalog.get(ckptId)), pinned };
    const { generation } = summary;
    if (pinned && (await store.stat(manifestKey(job, generation))) === null)
      throw new HoldfastError('NOT_FOUND', `checkpoint ${ckptId} does not exist any more: it was removed`);
    if (pinned) await pin(store, job, generation, { uid: caller.uid, atMs: clock.wallMs() });
    else await unpin(store, job, generation);
    await catalog.add(summary);
    log.info({ job, ckptId, generation, pinned, uid: caller.uid }, 'checkpoint pinned or unpinned');
    return summary;
  });
}

/** @throws HoldfastError WRONG_STATE for one that must stay, or while an operation is at work */
export async function removeCheckpoint(context: Context, caller: Caller, ckptId: number): Promise<void> {
  const { catalog, jobs, locks, removals, store } = context;
  const summary = requireCheckpoint(caller, 'removeCheckpoint', await catalog.get(ckptId));
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
      await removeGeneration(context, job, summary, {
        cause: 'request',
        reason: `uid ${caller.uid} asked for it`,
      });
    }),
  );
}

/** One job after the other: each needs its objects and manifests in memory. */
export async function collectGarbage(
  context: Context,
  caller: Caller,
  { dryRun, job }: CollectGarbageRequest,
): Promise<JobCollection[]> {
  const reports: JobCollection[] = [];
  const action = dryRun ? 'collectGarbageDryRun' : 'collectGarbage';
  for (const id of await jobsFor(context, caller, action, job)) {
    const outcome = dryRun ? { decided: await decideAll(context, id) } : await collect(context, id);
    reports.push(reportOf(id, outcome, context.policies().gcGraceMs));
  }
  return job === '' ? reports.filter((report) => !isUneventful(report)) : reports;
}

async function jobsFor(context: Context, caller: Caller, action: Action, wanted: string): Promise<string[]> {
  const { jobs } = context;
  if (wanted !== '') return [requireJob(caller, action, jobs.get(wanted)).id];
  if (hasRole(caller, RULES[action].others)) return storedJobs(context);
  const own = jobs.all().filter((job) => mayAct(caller, action, ownerOf(job)));
  return own.map(({ id }) => id).sort();
}

export async function usageFor(context: Context, caller: Caller): Promise<GetUsageResponse> {
  const all = await context.usage.all();
  const jobs = all.filter(({ uid }) => hasRole(caller, RULES.getUsage.others) || uid === caller.uid);
  return {
    jobs,
    users: sumByUser(jobs, (uid) => quotaOf(context, uid)),
    accounts: sumByAccount(jobs, (account) => accountQuotaOf(context, account)),
  };
}
