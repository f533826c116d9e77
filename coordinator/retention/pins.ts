/** Pins, which the store keeps beside the manifests: losing Redis unpins nothing (C4). */
import type { ObjectStore } from '../../store/contract';

const PINS_PREFIX = 'pins/';

const prefixOf = (job: string): string => `${PINS_PREFIX}${job}/`;

function pinKey(job: string, generation: number): string {
  return `${prefixOf(job)}${String(generation).padStart(10, '0')}.json`;
}

/** The generations of the job that are pinned. */
export async function pinnedOf(store: ObjectStore, job: string): Promise<Set<number>> {
  const pinned = new Set<number>();
  for await (const { key } of store.list(prefixOf(job))) {
    const digits = /([0-9]{10})\.json$/.exec(key)?.[1];
    if (digits !== undefined) pinned.add(Number(digits));
  }
  return pinned;
}

export async function pin(
  store: ObjectStore,
  job: string,
  generation: number,
  by: { uid: number; atMs: number },
): Promise<void> {
  // Whoever was first stays on record.
  await store.putIfAbsent(pinKey(job, generation), Buffer.from(`${JSON.stringify(by)}\n`));
}

export async function unpin(store: ObjectStore, job: string, generation: number): Promise<void> {
  await store.delete(pinKey(job, generation));
}
