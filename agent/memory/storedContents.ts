/**
 * What the job's newest committed generation has stored, told to a memory that knows nothing (M7): after a restart of the agent or
 * of the job, chunks with equal contents are named instead of stored again. Nothing here makes a checkpoint fail.
 */
import type { EncryptionKeys } from '../../core/encryption/keys';
import { HoldfastError } from '../../core/errors';
import type { Logger } from '../../core/log';
import { decodeManifest, manifestKey } from '../../core/manifest';
import type { ObjectRef, TreeImage } from '../../proto/gen/holdfast/v1/manifest';
import type { ObjectStore } from '../../store/contract';
import { fetchOpened } from '../../store/stream';
import type { GenerationId, TreeMemory } from './treeMemory';

/** Of the indexes of other trees: every MiB stands for some 25 GiB of memory, and takes some 4 MiB of the agent's. */
const OTHERS_INDEX_BYTES = 8 << 20;
/** What is not learned by then is stored again; the checkpoint waits. */
const LONGEST_MS = 30_000;

export interface StoredContents {
  readonly store: ObjectStore;
  readonly job: string;
  readonly treeId: string;
  /** The job's newest committed generation. */
  readonly base: GenerationId;
  /** The restart that brought the tree to life: from which generation, and its epoch; undefined: none did. */
  readonly restored: GenerationId | undefined;
  /** What the next generation is encrypted with. */
  readonly keys: EncryptionKeys | null;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/** Who went back to an older generation may have done so because the newer ones are damaged. */
export const mayLearnFrom = (base: GenerationId, restored: GenerationId | undefined): boolean =>
  restored === undefined || base.generation === restored.generation || base.epoch > restored.epoch;

/** This tree's first: most of its memory is in them. Others as long as their indexes are small enough. */
export function treesToLearnFrom(trees: readonly TreeImage[], from: StoredContents): TreeImage[] {
  const isOwn = ({ treeId }: TreeImage): boolean => treeId === from.treeId;
  // Addresses under another key have nothing in common with ours.
  const readable = trees.filter(({ index }) => index && index.encryptionKey === from.keys?.id);
  let left = OTHERS_INDEX_BYTES;
  const others = readable.filter((tree) => {
    const size = tree.index?.sizeBytes ?? 0;
    if (isOwn(tree) || size > left) return false;
    left -= size;
    return true;
  });
  return [...readable.filter(isOwn), ...others];
}

export async function learnStored(memory: TreeMemory, from: StoredContents): Promise<void> {
  const { base, restored, signal, log } = from;
  if (!memory.knowsNothingOf(base) || !mayLearnFrom(base, restored)) return;
  const patience = AbortSignal.any([signal, AbortSignal.timeout(LONGEST_MS)]);
  try {
    const trees = treesToLearnFrom(await treesOf(from), from);
    const numbers = await numberPacks(memory, trees, from, patience);
    let blobs = 0;
    for (const tree of trees) blobs += await learnTree(memory, tree, numbers.get(tree) ?? [], from, patience);
    memory.learned(base);
    log.info({ ...base, trees: trees.length, blobs }, 'stored contents learned');
  } catch (err) {
    log.warn({ ...base, err }, 'stored contents are not known: what is stored already is stored again');
  }
  signal.throwIfAborted();
}

async function treesOf({ store, job, base }: StoredContents): Promise<TreeImage[]> {
  const key = manifestKey(job, base.generation);
  const { header, nodes } = decodeManifest(await store.get(key), key);
  if (header?.job !== job || header.generation !== base.generation || header.epoch !== base.epoch) {
    throw new HoldfastError('CORRUPT', `${key} is the manifest of another generation`);
  }
  return nodes.flatMap((part) => part.trees);
}

/** Our own packs get the highest numbers: they stay the last in the manifest, whose order a lazy restart goes by. */
async function numberPacks(
  memory: TreeMemory,
  trees: readonly TreeImage[],
  { store, keys }: StoredContents,
  patience: AbortSignal,
): Promise<ReadonlyMap<TreeImage, number[]>> {
  const sizes = await storedSizes(
    store,
    trees.flatMap(({ packs }) => packs),
    patience,
  );
  const isUsable = ({ key, sizeBytes, encryptionKey }: ObjectRef): boolean =>
    encryptionKey === keys?.id && sizes.get(key) === sizeBytes;
  const numbers = new Map<TreeImage, number[]>();
  for (const tree of [...trees].reverse()) {
    numbers.set(tree, memory.numberPacks(tree.packs.map((ref) => (isUsable(ref) ? ref : null))));
  }
  return numbers;
}

/** By key: of everything that lies beside the packs. A pack that somebody has removed must not be named again. */
async function storedSizes(
  store: ObjectStore,
  packs: readonly ObjectRef[],
  patience: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  const sizes = new Map<string, number>();
  for (const prefix of new Set(packs.map(({ key }) => key.slice(0, key.lastIndexOf('/') + 1)))) {
    for await (const { key, sizeBytes } of store.list(prefix)) {
      patience.throwIfAborted();
      sizes.set(key, sizeBytes);
    }
  }
  return sizes;
}

/** How many blobs; an index that is damaged tells of none. */
async function learnTree(
  memory: TreeMemory,
  { treeId, index }: TreeImage,
  packs: readonly number[],
  { store, keys, log }: StoredContents,
  patience: AbortSignal,
): Promise<number> {
  patience.throwIfAborted();
  if (index === undefined) return 0;
  try {
    return memory.learn(await fetchOpened(store, index, new Map(keys ? [[keys.id, keys]] : [])), packs);
  } catch (err) {
    log.warn(
      { index: index.key, of: treeId, err },
      'a page index is not readable: nothing is learned from it',
    );
    return 0;
  }
}
