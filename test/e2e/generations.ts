/** Invariants C1 and C2 from outside: what the store holds of a job, object by object. */
import { createHash } from 'node:crypto';
import { decodeManifest, generationPrefix, jobManifestsPrefix } from '../../core/manifest';
import { objectsOf } from '../../core/manifest-objects';
import type { Manifest } from '../../proto/gen/holdfast/v1/manifest';
import type { ObjectStore } from '../../store/contract';

async function keysBelow(store: ObjectStore, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys;
}

export async function manifestsOf(store: ObjectStore, job: string): Promise<Manifest[]> {
  const keys = await keysBelow(store, jobManifestsPrefix(job));
  return Promise.all(keys.map(async (key) => decodeManifest(await store.get(key), key)));
}

/** Numbers of the generations that exist; each of their objects was read and is what its manifest says. */
export async function intactGenerations(store: ObjectStore, job: string): Promise<number[]> {
  const manifests = await manifestsOf(store, job);
  for (const object of manifests.flatMap(({ nodes }) =>
    nodes.flatMap(({ trees }) => trees.flatMap(objectsOf)),
  )) {
    const body = await store.get(object.key);
    const sha256 = createHash('sha256').update(body).digest('hex');
    if (body.length !== object.sizeBytes || sha256 !== object.sha256)
      throw new Error(`${object.key} is not what its manifest says`);
  }
  return manifests.map((manifest) => manifest.header?.generation ?? 0);
}

/** Objects that belong to no committed generation. */
export async function orphans(store: ObjectStore, job: string): Promise<string[]> {
  const prefixes = (await manifestsOf(store, job)).map(({ header }) =>
    generationPrefix(job, header?.generation ?? 0, header?.epoch ?? 0),
  );
  const keys = await keysBelow(store, `jobs/${job}/`);
  return keys.filter((key) => !prefixes.some((prefix) => key.startsWith(`${prefix}/`)));
}

/** Objects below the job's prefix that no manifest names. */
export async function unnamed(store: ObjectStore, job: string): Promise<string[]> {
  const manifests = await manifestsOf(store, job);
  const trees = manifests.flatMap(({ nodes }) => nodes.flatMap(({ trees }) => trees));
  const named = new Set(trees.flatMap(objectsOf).map(({ key }) => key));
  return (await keysBelow(store, `jobs/${job}/`)).filter((key) => !named.has(key));
}
