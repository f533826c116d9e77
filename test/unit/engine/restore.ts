/** A generation put into hollow processes by the engine, as a restart does it: before they run, or while they do. */
import { type LazyFill, startFill, startLazyFill } from '../../../native';
import { bodyOf, type StoredGeneration } from './compare';
import type { HollowTree } from './hollow';

const THREADS = 2;

export interface Filled {
  readonly pages: number;
  /** Chunks that somebody waited for. */
  readonly servedChunks: number;
}

export async function fill({ index, packs }: StoredGeneration, tree: HollowTree): Promise<Filled> {
  const filling = startFill(index, tree.processes, { threads: THREADS });
  try {
    await Promise.all(
      filling.packNumbers().map((number) => filling.writePack(number, bodyOf(packs, number))),
    );
    if (filling.writtenPages() !== filling.totalPages())
      throw new Error('some pages of the index are in no pack');
    return { pages: filling.writtenPages(), servedChunks: 0 };
  } finally {
    filling.close();
  }
}

/** The processes run, and wait for pages, until they have touched some; then come the others. */
export async function fillLazily({ index, packs }: StoredGeneration, tree: HollowTree): Promise<Filled> {
  const served: Promise<void>[] = [];
  const lazy: LazyFill = startLazyFill(index, {
    threads: THREADS,
    onWanted: (chunks) => {
      served.push(...chunks.map(put));
    },
    onForked: () => {},
  });
  async function put(chunk: number): Promise<void> {
    const { pack, offset, length } = lazy.chunk(chunk);
    await lazy.fillChunk(chunk, bodyOf(packs, pack).subarray(offset, offset + length));
  }
  try {
    for (const { imagePid, pid, userfaultfd } of tree.processes) lazy.take(imagePid, pid, userfaultfd);
    await Promise.all(lazy.gate(tree.processes).map(put));
    await tree.touch();
    await Promise.all(served);
    for (const number of lazy.missingPacks()) await lazy.fillPack(number, bodyOf(packs, number), null);
    if (!lazy.isComplete()) throw new Error('some pages of the index are in no pack');
    return { pages: lazy.residentPages(), servedChunks: served.length };
  } finally {
    lazy.close();
  }
}
