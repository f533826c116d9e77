/** The committed generations. Their manifests in the store are the truth; Redis holds a cache of summaries (C4). */
import type { Redis } from 'ioredis';
import { HoldfastError, toHoldfastError } from '../../core/errors';
import type { Logger } from '../../core/log';
import { decodeManifest, jobManifestsPrefix, manifestKey, parseManifestKey } from '../../core/manifest';
import { CheckpointSummary, type Job } from '../../proto/gen/holdfast/v1/coordinator';
import type { Manifest } from '../../proto/gen/holdfast/v1/manifest';
import type { ObjectStore } from '../../store/contract';
import type { JobTable } from '../state/jobs';
import { KEYS } from '../state/keys';

export class Catalog {
  /**
   * Ids by job: what one job has is asked for at each of its checkpoints, and reading what all have would take the longer
   * the longer the cluster lives. May hold ids that Redis does not, never the other way round.
   */
  #idsByJob: Promise<Map<string, Set<number>>> | null = null;

  constructor(
    private readonly redis: Redis,
    private readonly store: ObjectStore,
    private readonly jobs: JobTable,
    private readonly log: Logger,
  ) {}

  async add(summary: CheckpointSummary): Promise<void> {
    const json = JSON.stringify(CheckpointSummary.toJSON(summary));
    noteId(await this.#ids(), summary);
    await this.redis.hset(KEYS.checkpoints, String(summary.ckptId), json);
  }

  async remove(ckptId: number): Promise<void> {
    await this.redis.hdel(KEYS.checkpoints, String(ckptId));
    for (const ids of (await this.#ids()).values()) if (ids.delete(ckptId)) return;
  }

  /** What the next checkpoint of the job may build on; zeros when there is nothing, or the catalog does not know it. */
  async newestCommitted({ id, lastGeneration }: Job): Promise<{ baseGeneration: number; baseEpoch: number }> {
    const newest = (await this.list(id)).find(({ generation }) => generation === lastGeneration);
    return { baseGeneration: newest?.epoch ? newest.generation : 0, baseEpoch: newest?.epoch ?? 0 };
  }

  /** By checkpoint id; of one job, or of all ('' for all). */
  async list(job: string): Promise<CheckpointSummary[]> {
    return (job === '' ? await this.#all() : await this.#ofJob(job)).sort((a, b) => a.ckptId - b.ckptId);
  }

  async #all(): Promise<CheckpointSummary[]> {
    return Object.values(await this.redis.hgetall(KEYS.checkpoints)).map(decodeSummary);
  }

  async #ofJob(job: string): Promise<CheckpointSummary[]> {
    const ids = [...((await this.#ids()).get(job) ?? [])].map(String);
    if (ids.length === 0) return [];
    const found = await this.redis.hmget(KEYS.checkpoints, ...ids);
    return found.filter((json) => json !== null).map(decodeSummary);
  }

  #ids(): Promise<Map<string, Set<number>>> {
    this.#idsByJob ??= this.#readIds();
    return this.#idsByJob;
  }

  async #readIds(): Promise<Map<string, Set<number>>> {
    try {
      const ids = new Map<string, Set<number>>();
      for (const summary of await this.#all()) noteId(ids, summary);
      return ids;
    } catch (error) {
      this.#idsByJob = null;
      throw error;
    }
  }

  /** @throws HoldfastError NOT_FOUND */
  async get(ckptId: number): Promise<CheckpointSummary> {
    const json = await this.redis.hget(KEYS.checkpoints, String(ckptId));
    if (json !== null) return decodeSummary(json);
    throw new HoldfastError(
      'NOT_FOUND',
      `there is no checkpoint ${ckptId}`,
      'see `holdfast checkpoints`; after a loss of Redis, rebuild the catalog',
    );
  }

  /** @throws HoldfastError NOT_FOUND, CORRUPT, UNKNOWN_FORMAT, STORE_UNAVAILABLE */
  async manifest(job: string, generation: number): Promise<Manifest> {
    const key = manifestKey(job, generation);
    const manifest = decodeManifest(await this.#read(key, `generation ${generation} of job ${job}`), key);
    const { header } = manifest;
    if (header?.job === job && header.generation === generation) return manifest;
    throw new HoldfastError(
      'CORRUPT',
      `${key} is the manifest of job ${header?.job}, generation ${header?.generation}`,
    );
  }

  /**
   * The job's last generation; 0 when that was removed, or there was none. In doubt it is there.
   * @param known of the job, from list()
   */
  async lastExisting(
    { id, lastGeneration }: Pick<Job, 'id' | 'lastGeneration'>,
    known: readonly Pick<CheckpointSummary, 'generation'>[],
  ): Promise<number> {
    if (lastGeneration === 0 || known.some(({ generation }) => generation === lastGeneration))
      return lastGeneration;
    try {
      const found = await this.store.stat(manifestKey(id, lastGeneration));
      return found === null ? 0 : lastGeneration;
    } catch (err) {
      this.log.warn(
        { job: id, generation: lastGeneration, err },
        'whether the last generation is there is not known',
      );
      return lastGeneration;
    }
  }

  /** Without its manifest a generation does not exist (C1). */
  async #read(key: string, what: string): Promise<Buffer> {
    try {
      return await this.store.get(key);
    } catch (cause) {
      if (toHoldfastError(cause).code !== 'OBJECT_MISSING') throw cause;
      const remedy = 'it was removed; see `holdfast checkpoints`';
      throw new HoldfastError('NOT_FOUND', `${what} does not exist any more`, remedy, { cause });
    }
  }

  /** After a commit found its number taken: what the store's newest generation of the job really is. */
  async refreshJob(job: string): Promise<void> {
    try {
      let newest = 0;
      for await (const { key } of this.store.list(jobManifestsPrefix(job))) {
        newest = Math.max(newest, parseManifestKey(key)?.generation ?? 0);
      }
      await this.jobs.update(job, (now) => ({ lastGeneration: Math.max(now.lastGeneration, newest) }));
    } catch (err) {
      this.log.warn({ job, err }, 'could not ask the store for the newest generation');
    }
  }
}

function decodeSummary(json: string): CheckpointSummary {
  return CheckpointSummary.fromJSON(JSON.parse(json));
}

function noteId(ids: Map<string, Set<number>>, { job, ckptId }: CheckpointSummary): void {
  const known = ids.get(job);
  if (known === undefined) ids.set(job, new Set([ckptId]));
  else known.add(ckptId);
}
