/** A generation, or the processes it was restored into, against the shadow of its hold. */
import { indexBody, rawBlob, readMaps } from './format';
import { type Space, storedDifferences } from './segments';
import { privateMapsOf, readMemory, type Shadow } from './shadow';

const PAGE = 4096;
const ZEROS = Buffer.alloc(PAGE);

export interface StoredGeneration {
  readonly index: Buffer;
  /** By the index's own numbers. */
  readonly packs: ReadonlyMap<number, Buffer>;
}

/** What a restore of the generation would write, by pid and address; read without the engine. */
export function storedPages({ index, packs }: StoredGeneration): Map<number, Space> {
  const spaces = new Map<number, Space>();
  for (const { imagePid, chunks } of readMaps(indexBody(index))) {
    const space: Space = spaces.get(imagePid) ?? new Map();
    spaces.set(imagePid, space);
    for (const { pack, offset, length, runs } of chunks) {
      const raw = rawBlob(bodyOf(packs, pack).subarray(offset, offset + length));
      for (const { address, pages, slot } of runs)
        for (let i = 0; i < pages; i++)
          space.set(Number(address) + i * PAGE, raw.subarray((slot + i) * PAGE, (slot + i + 1) * PAGE));
    }
  }
  return spaces;
}

export function bodyOf(packs: ReadonlyMap<number, Buffer>, number: number): Buffer {
  const body = packs.get(number);
  if (!body) throw new Error(`pack ${number} is named and is not there`);
  return body;
}

/** Every page that a restore from what is stored would get wrong. */
export function wrongInStore(shadow: Shadow, stored: Map<number, Space>): string[] {
  return [...storedDifferences(shadow.segments, stored), ...privateDifferences(shadow, stored)];
}

/** Every page that is wrong in processes that were restored. @param pids of the processes, by their pids in the generation */
export function wrongInProcesses(shadow: Shadow, pids: ReadonlyMap<number, number>): string[] {
  const spaces = new Map([...pids].map(([imagePid, pid]) => [imagePid, pagesWithin(shadow, imagePid, pid)]));
  return [...viewDifferences(shadow, pids), ...privateDifferences(shadow, spaces)];
}

/** Of a restored process, what was written: not the file's pages, nor those that were only looked at. */
function pagesWithin(shadow: Shadow, imagePid: number, pid: number): Space {
  const recorded = shadow.processes.get(imagePid) ?? [];
  const pages: Space = new Map();
  for (const map of privateMapsOf(pid)) {
    if (!recorded.some(({ start, end }) => start < map.end && map.start < end)) continue;
    for (const [address, page] of map.pages) {
      const isWritten = map.kind === 'file' ? !map.optional.has(address) : !page.equals(ZEROS);
      if (isWritten) pages.set(address, page);
    }
  }
  return pages;
}

function viewDifferences(shadow: Shadow, pids: ReadonlyMap<number, number>): string[] {
  return shadow.segments
    .filter(({ isLeftOut }) => isLeftOut)
    .flatMap(({ id, contents, views }) =>
      views
        .filter(({ pid, start, end, offset }) => {
          const shown = readMemory(pids.get(pid) ?? 0, start, end - start);
          return !shown.equals(contents.subarray(offset, offset + end - start));
        })
        .map(
          ({ pid, start }) =>
            `segment ${id.inode} at ${start.toString(16)} of process ${pid} has other contents`,
        ),
    );
}

function privateDifferences(shadow: Shadow, stored: Map<number, Space>): string[] {
  const wrong: string[] = [];
  for (const [pid, maps] of shadow.processes) {
    const space = new Map(stored.get(pid));
    for (const { kind, pages, optional } of maps) {
      for (const [address, contents] of pages) {
        const page = space.get(address);
        space.delete(address);
        const isRight = page
          ? page.equals(contents)
          : optional.has(address) || (kind === 'anonymous' && contents.equals(ZEROS));
        const what = page ? 'has other contents' : 'is missing';
        if (!isRight) wrong.push(`${kind} page ${address.toString(16)} of process ${pid} ${what}`);
      }
    }
    // What was absent reads as zeros, or shows the file: nothing may be written there.
    for (const address of space.keys())
      wrong.push(`page ${address.toString(16)} of process ${pid} was not there`);
  }
  return wrong;
}
