/** The catalog, the jobs and the counters from the store alone, after a loss of Redis (C4). */
import { toHoldfastError } from '../../core/errors';
import { decodeManifest, MANIFESTS_PREFIX, parseManifestKey } from '../../core/manifest';
import { type CheckpointSummary, type Job, JobState } from '../../proto/gen/holdfast/v1/coordinator';
import type { Manifest } from '../../proto/gen/holdfast/v1/manifest';
import { storedBytes, summarize } from '../checkpoint/assemble';
import type { Context } from '../context';
import { deadlineAt, laterDeadline } from '../jobs/deadlines';
import { savedVerdict } from '../restart/verdicts';
import { pinnedOf } from '../retention/pins';
import { savedPolicy } from '../retention/settings';
import type { Counters } from '../state/counters';
import { KEYS } from '../state/keys';

const LOST_STATE = 'found in the store; the state was lost';

type Parts = Pick<Context, 'catalog' | 'counters' | 'jobs' | 'log' | 'redis' | 'store'>;

export interface Rebuilt {
  readonly jobs: number;
  readonly checkpoints: number;
}

/** At start: only when Redis does not say that its cache is complete. Ids must not be given twice. */
export async function rebuildIfIncomplete(parts: Parts): Promise<{ isRebuilt: boolean }> {
  if ((await parts.redis.exists(KEYS.catalogComplete)) === 1) return { isRebuilt: false };
  const { jobs, checkpoints } = await rebuildCatalog(parts);
  if (checkpoints > 0) parts.log.info({ jobs, checkpoints }, 'catalog rebuilt from the store');
  return { isRebuilt: jobs > 0 };
}

/** Adds what is missing; what Redis knows of a job stays. A manifest that cannot be read is named and passed over. */
export async function rebuildCatalog(parts: Parts): Promise<Rebuilt> {
  const { catalog, counters, jobs, log, redis, store } = parts;
  /** With the time of their newest manifest. */
  const newJobs = new Map<string, number>();
  const pinnedByJob = new Map<string, Set<number>>();
  let checkpoints = 0;
  for await (const { key } of store.list(MANIFESTS_PREFIX)) {
    const place = parseManifestKey(key);
    if (place === null) continue;
    try {
      const manifest = decodeManifest(await store.get(key), key);
      const summary = summaryOf(manifest);
      await raiseCounters(counters, manifest, place.job);
      const pins = pinnedByJob.get(place.job) ?? (await pinnedOf(store, place.job));
      pinnedByJob.set(place.job, pins);
      const pinned = pins.has(place.generation);
      if (await isNew(redis, summary.ckptId))
        await catalog.add({ ...summary, pinned, ...(await savedVerdict(store, summary)) });
      if (jobs.find(place.job) === undefined || newJobs.has(place.job))
        newJobs.set(place.job, Math.max(newJobs.get(place.job) ?? 0, summary.createdMs));
      const known = jobs.find(place.job) ?? jobFrom(manifest, place.job, LOST_STATE);
      await jobs.put(withGeneration(known, manifest, newJobs.has(place.job)));
      checkpoints++;
    } catch (thrown) {
      const error = toHoldfastError(thrown);
      if (error.code === 'STORE_UNAVAILABLE' || error.code === 'STORE_REFUSED') throw error;
      log.error({ key, err: error }, 'a manifest cannot be read');
    }
  }
  for (const job of pinnedByJob.keys()) await takeNotes(parts, job, newJobs.get(job) ?? null);
  await redis.set(KEYS.catalogComplete, '1');
  return { jobs: newJobs.size, checkpoints };
}

/**
 * What was set is in the store before it is in Redis.
 * @param committedMs of the newest manifest of a job that was not known; null: it was
 */
async function takeNotes(
  { jobs, log, store }: Parts,
  job: string,
  committedMs: number | null,
): Promise<void> {
  try {
    const saved = await savedPolicy(store, job);
    if (saved !== null) await jobs.update(job, ({ spec }) => ({ spec: spec && { ...spec, ...saved } }));
    const deadlineMs = committedMs === null ? null : await laterDeadline(store, job, committedMs);
    if (deadlineMs !== null) await jobs.update(job, () => ({ deadlineMs }));
  } catch (thrown) {
    const error = toHoldfastError(thrown);
    if (error.code === 'STORE_UNAVAILABLE' || error.code === 'STORE_REFUSED') throw error;
    log.error({ job, err: error }, 'what was set for the job cannot be read');
  }
}

/** Of a generation of which only the manifest is known. */
export function summaryOf(manifest: Manifest): CheckpointSummary {
  return summarize(manifest, { uploadedBytes: storedBytes(manifest), durationMs: 0, heldMs: 0 });
}

/** No number that the manifest names is given again. */
export async function raiseCounters(counters: Counters, manifest: Manifest, job: string): Promise<void> {
  const { ckptId = 0, epoch = 0 } = manifest.header ?? {};
  await counters.raiseCheckpointId(ckptId);
  await counters.raiseEpoch(job, epoch + 1);
  await counters.raiseMember(job, largestMember(manifest));
}

async function isNew(redis: Parts['redis'], ckptId: number): Promise<boolean> {
  return (await redis.hexists(KEYS.checkpoints, String(ckptId))) === 0;
}

function largestMember(manifest: Manifest): number {
  const trees = manifest.nodes.flatMap((part) => part.trees);
  return Math.max(0, ...trees.map(({ treeId }) => Number(/^m([0-9]+)$/.exec(treeId)?.[1] ?? 0)));
}

/** Whether it still runs is not known: a node that hosts it says so when it registers. */
export function jobFrom(manifest: Manifest, id: string, reason: string): Job {
  const createdMs = manifest.header?.createdMs ?? 0;
  return {
    id,
    spec: manifest.header?.spec,
    state: JobState.STOPPED,
    trees: [],
    incarnation: 0,
    lastGeneration: 0,
    reason,
    createdMs,
    endedMs: createdMs,
    restartCount: 0,
    tracked: false,
    filling: [],
    addressAliases: [],
    restoredGeneration: 0,
    schedule: undefined,
    decisions: [],
    restartsSinceCommit: 0,
    deadlineMs: 0,
    stopCause: '',
  };
}

export function withGeneration(job: Job, manifest: Manifest, isRebuilt: boolean): Job {
  const { header, container } = manifest;
  const generation = header?.generation ?? 0;
  if (generation <= job.lastGeneration) return job;
  const newest = { ...job, lastGeneration: generation };
  if (!isRebuilt) return newest;
  const addressAliases = container?.addressAliases ?? [];
  const deadlineMs = deadlineAt(header);
  return { ...newest, spec: header?.spec, deadlineMs, addressAliases, endedMs: header?.createdMs ?? 0 };
}
