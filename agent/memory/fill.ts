/** Packs of the store -> memory of the restored processes, all of it verified before anything runs. */

import { HoldfastError } from '../../core/errors';
import { faultPoint } from '../../core/faults';
import { type FillTarget, startFill } from '../../native';
import type { ObjectRef } from '../../proto/gen/holdfast/v1/manifest';
import type { ObjectStore } from '../../store/contract';
import { fetchOpened, type KeysById } from '../../store/stream';
import { PackRoom, packChecksum } from './packRoom';

/** Packs fetched and decoded at the same time; each takes a pack's size twice. */
const PARALLEL_PACKS = 4;
const THREADS = 2;

export interface FillMemory {
  readonly index: ObjectRef;
  readonly packs: readonly ObjectRef[];
  /** Of everything that is encrypted. */
  readonly keys: KeysById;
  readonly targets: readonly FillTarget[];
  /** Ends the filling with its reason. */
  readonly signal: AbortSignal;
  readonly onProgress: (doneBytes: number, totalBytes: number) => void;
}

const PAGE_BYTES = 4096;

export async function fillMemory(store: ObjectStore, options: FillMemory): Promise<void> {
  const index = await fetchOpened(store, options.index, options.keys);
  const fill = startFill(index, options.targets, {
    threads: THREADS,
    keys: [...options.keys.values()],
  });
  try {
    const numbers = fill.packNumbers();
    const worker = async (): Promise<void> => {
      const room = PackRoom.forPacks(options.packs);
      for (let number = numbers.shift(); number !== undefined; number = numbers.shift()) {
        options.signal.throwIfAborted();
        const pack = options.packs[number - 1];
        if (!pack)
          throw new HoldfastError('CORRUPT', `the page index names pack ${number}, the manifest does not`);
        await fill.writePack(number, await room.fetch(store, pack), packChecksum(pack));
        faultPoint('agent.restore.pages');
        options.onProgress(fill.writtenPages() * PAGE_BYTES, fill.totalPages() * PAGE_BYTES);
      }
    };
    await Promise.all(Array.from({ length: PARALLEL_PACKS }, worker));
    if (fill.writtenPages() !== fill.totalPages()) {
      const missing = fill.totalPages() - fill.writtenPages();
      throw new HoldfastError('CORRUPT', `${missing} of ${fill.totalPages()} pages are in no pack`);
    }
  } finally {
    fill.close();
  }
}
