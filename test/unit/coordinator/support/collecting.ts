/** Calls and looks that the tests of retention share. */
import { decodeManifest, jobDataPrefix, MANIFESTS_PREFIX, parseManifestKey } from '../../../../core/manifest';
import { objectsOf } from '../../../../core/manifest-objects';
import { KEEP_ALL } from '../../../../core/retention';
import { invoke } from '../../../../core/rpc/handlers';
import type {
  CheckpointSummary,
  GetUsageResponse,
  JobCollection,
  RetentionDecision,
} from '../../../../proto/gen/holdfast/v1/coordinator';
import type { RetentionPolicy } from '../../../../proto/gen/holdfast/v1/manifest';
import type { ObjectStore } from '../../../../store/contract';
import type { User } from './cluster';

export async function collect(
  { client, metadata }: User,
  dryRun = false,
  job = '',
): Promise<JobCollection[]> {
  return (await invoke(client, client.collectGarbage, { dryRun, job }, { metadata })).jobs;
}

export async function setPolicy(
  { client, metadata }: User,
  job: string,
  policy: Partial<RetentionPolicy>,
): Promise<void> {
  await invoke(client, client.setRetention, { job, policy: { ...KEEP_ALL, ...policy } }, { metadata });
}

export async function pinned({ client, metadata }: User, ckptId: number, isPinned = true) {
  return (await invoke(client, client.pinCheckpoint, { ckptId, pinned: isPinned }, { metadata })).summary;
}

export async function explain({ client, metadata }: User, job: string): Promise<RetentionDecision[]> {
  return (await invoke(client, client.explainRetention, { job }, { metadata })).decisions;
}

export function usage({ client, metadata }: User): Promise<GetUsageResponse> {
  return invoke(client, client.getUsage, {}, { metadata });
}

export async function checkpoints({ client, metadata }: User): Promise<CheckpointSummary[]> {
  return (await invoke(client, client.listCheckpoints, { job: '' }, { metadata })).checkpoints;
}

export async function keysBelow(store: ObjectStore, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys;
}

export async function generationsOf(store: ObjectStore): Promise<number[]> {
  const keys = await keysBelow(store, MANIFESTS_PREFIX);
  return keys.map((key) => parseManifestKey(key)?.generation ?? 0);
}

/** Every object that a manifest names and that is not there (C1), and every one there that none names. */
export async function differences(store: ObjectStore): Promise<{ missing: string[]; garbage: string[] }> {
  const there = await keysBelow(store, 'jobs/');
  const named = new Set<string>();
  for (const key of await keysBelow(store, MANIFESTS_PREFIX)) {
    const { nodes } = decodeManifest(await store.get(key), key);
    for (const object of nodes.flatMap(({ trees }) => trees).flatMap(objectsOf)) named.add(object.key);
  }
  return {
    missing: [...named].filter((key) => !there.includes(key)),
    garbage: there.filter((key) => !named.has(key)),
  };
}

/** What the generation wrote itself is not there any more. */
export async function loseObjects(store: ObjectStore, job: string, generation: number): Promise<void> {
  for (const key of await keysBelow(store, jobDataPrefix(job)))
    if (key.startsWith(`${jobDataPrefix(job)}${generation}-`)) await store.delete(key);
}

export async function remove({ client, metadata }: User, ckptId: number): Promise<void> {
  await invoke(client, client.removeCheckpoint, { ckptId }, { metadata });
}
