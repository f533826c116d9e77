/** What the store holds of a job, as retention and sweeps need it. Reads only. */
import { toHoldfastError } from '../../core/errors';
import {
  decodeManifest,
  jobDataPrefix,
  jobManifestsPrefix,
  manifestKey,
  parseManifestKey,
} from '../../core/manifest';
import { objectsOf } from '../../core/manifest-objects';
import type { CheckpointSummary } from '../../proto/gen/holdfast/v1/coordinator';
import type { JobSpec, Manifest } from '../../proto/gen/holdfast/v1/manifest';
import type { ObjectInfo, ObjectStore } from '../../store/contract';
import { pinnedOf } from './pins';
import type { Generation } from './plan';
import type { Objects } from './references';

export type Owner = Pick<JobSpec, 'uid' | 'account'>;

export interface Survey {
  readonly generations: readonly Generation[];
  readonly pinned: ReadonlySet<number>;
  /** Generations whose manifests cannot be read (G5), with the problem. */
  readonly unreadable: ReadonlyMap<number, string>;
  /** What the catalog knows and the store has no more: a removal was interrupted. */
  readonly vanished: readonly CheckpointSummary[];
  readonly manifestBytes: number;
  /** Whose the manifests say the job is; null: there is none. */
  readonly owner: Owner | null;
}

/** All data of the job; what else there may be below its prefix is not judged. Before the manifests are read (G6). */
export async function listObjects(store: ObjectStore, job: string): Promise<ObjectInfo[]> {
  const objects: ObjectInfo[] = [];
  for await (const object of store.list(jobDataPrefix(job))) objects.push(object);
  return objects;
}

/**
 * @param summaries of the job: enough for generations whose objects are not asked for
 * @param withObjects reads every manifest
 * @throws HoldfastError STORE_UNAVAILABLE, STORE_REFUSED
 */
export async function survey(
  store: ObjectStore,
  job: string,
  summaries: readonly CheckpointSummary[],
  withObjects: boolean,
): Promise<Survey> {
  const known = new Map(summaries.map((summary) => [summary.generation, summary]));
  const generations: Generation[] = [];
  const unreadable = new Map<number, string>();
  const unlisted = new Set(summaries);
  let manifestBytes = 0;
  let owner: Owner | null = summaries[0] ?? null;
  for await (const { key, sizeBytes } of store.list(jobManifestsPrefix(job))) {
    const place = parseManifestKey(key);
    if (place === null) continue;
    manifestBytes += sizeBytes;
    const summary = known.get(place.generation);
    if (summary !== undefined) unlisted.delete(summary);
    if (summary !== undefined && !withObjects) {
      generations.push({ ...summary, objects: new Map() });
      continue;
    }
    const manifest = await readManifest(store, key);
    if (typeof manifest === 'string') unreadable.set(place.generation, manifest);
    else {
      generations.push(generationOf(manifest, place.generation));
      owner ??= manifest.header?.spec ?? null;
    }
  }
  const vanished: CheckpointSummary[] = [];
  for (const summary of unlisted) {
    if ((await store.stat(manifestKey(job, summary.generation))) === null) vanished.push(summary);
    else unreadable.set(summary.generation, 'the store has its manifest, but does not list it');
  }
  return { generations, unreadable, vanished, pinned: await pinnedOf(store, job), manifestBytes, owner };
}

/** Or what is wrong with it. A store that does not answer says nothing about it. */
async function readManifest(store: ObjectStore, key: string): Promise<Manifest | string> {
  try {
    return decodeManifest(await store.get(key), key);
  } catch (thrown) {
    const error = toHoldfastError(thrown);
    if (error.code === 'STORE_UNAVAILABLE' || error.code === 'STORE_REFUSED') throw error;
    return error.message;
  }
}

function generationOf({ header, nodes }: Manifest, generation: number): Generation {
  const objects = new Map<string, number>();
  for (const tree of nodes.flatMap(({ trees }) => trees)) {
    for (const { key, sizeBytes } of objectsOf(tree)) objects.set(key, sizeBytes);
  }
  const { ckptId = 0, createdMs = 0, epoch = 0 } = header ?? {};
  return { generation, epoch, ckptId, createdMs, objects };
}

/**
 * Generations that cannot be restored, one sentence each. Pure.
 * @param listed what is there; null: nobody has looked
 */
export function damageOf(
  { generations, unreadable }: Survey,
  listed: ReadonlyMap<string, unknown> | null,
): string[] {
  const missing = (objects: Objects) =>
    listed === null ? [] : [...objects.keys()].filter((key) => !listed.has(key));
  const damaged = generations.flatMap(({ generation, ckptId, objects }) => {
    const keys = missing(objects);
    if (keys.length === 0) return [];
    return [
      `checkpoint ${ckptId} (generation ${generation}) names ${keys.length} objects that are not there, ${keys[0]} for one`,
    ];
  });
  return [
    ...[...unreadable].map(([generation, problem]) => `generation ${generation} cannot be read: ${problem}`),
    ...damaged,
  ];
}
