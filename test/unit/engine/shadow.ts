/**
 * The memory of stopped processes, as /proc shows it page by page. Written without the engine: pages are found by the
 * entries of /proc/PID/pagemap, and read from /proc/PID/mem.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { isHuge, isKernels, type MapLine, mapLines } from './proc-maps';
import { type SharedSegment, type Space, segmentsOf } from './segments';

const PAGE = 4096;
const PRESENT = 0x80;
const SWAPPED = 0x40;
const FILE = 0x20;
const GUARD = 0x04;
const ZEROS = Buffer.alloc(PAGE);

export interface ShadowMap extends MapLine {
  readonly kind: 'anonymous' | 'file';
  /** Pages that are not here are absent, or the file's own. */
  readonly pages: Space;
  /** Pages that may be stored or not: what they hold is the file's. */
  readonly optional: Set<number>;
  /** With contents, and in the swap before they were read. */
  readonly swapped: Set<number>;
}

export interface Shadow {
  /** Private maps by pid. */
  readonly processes: Map<number, ShadowMap[]>;
  readonly segments: readonly SharedSegment[];
}

export function shadowOf(pids: readonly number[], segments = segmentsOf(pids)): Shadow {
  return { processes: new Map(pids.map((pid) => [pid, privateMapsOf(pid)])), segments };
}

export function privateMapsOf(pid: number): ShadowMap[] {
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  const pagemap = openSync(`/proc/${pid}/pagemap`, 'r');
  try {
    const maps = mapLines(pid).filter((map) => !map.isShared && !isKernels(map));
    return maps.map((map) => readMap(memory, pagemap, map));
  } finally {
    closeSync(memory);
    closeSync(pagemap);
  }
}

export function readMemory(pid: number, address: number, bytes: number): Buffer {
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  try {
    return readAll(memory, bytes, address);
  } finally {
    closeSync(memory);
  }
}

function readAll(file: number, bytes: number, position: number): Buffer {
  const read = Buffer.allocUnsafeSlow(bytes);
  if (readSync(file, read, 0, bytes, position) !== bytes)
    throw new Error('memory of a stopped process cannot be read');
  return read;
}

function readMap(memory: number, pagemap: number, line: MapLine): ShadowMap {
  const { start, end } = line;
  const kind = line.inode === 0 || isHuge(line) ? 'anonymous' : 'file';
  const map: ShadowMap = { ...line, kind, pages: new Map(), optional: new Set(), swapped: new Set() };
  const count = (end - start) / PAGE;
  const entries = readAll(pagemap, count * 8, (start / PAGE) * 8);
  const flagsOf = (i: number): number => entries[i * 8 + 7] ?? 0;
  const isThere = (i: number): boolean =>
    (flagsOf(i) & (PRESENT | SWAPPED)) !== 0 && (flagsOf(i) & GUARD) === 0;
  for (let first = 0; first < count; first++) {
    if (!isThere(first)) continue;
    let next = first + 1;
    while (next < count && isThere(next)) next++;
    const run = readAll(memory, (next - first) * PAGE, start + first * PAGE);
    for (let i = first; i < next; i++) {
      const page = run.subarray((i - first) * PAGE, (i - first + 1) * PAGE);
      notePage(map, start + i * PAGE, flagsOf(i), page);
    }
    first = next;
  }
  return map;
}

function notePage(map: ShadowMap, address: number, flags: number, page: Buffer): void {
  map.pages.set(address, page);
  const isPresent = (flags & PRESENT) !== 0;
  // Not private, or dropped and marked: it shows the file.
  if (map.kind === 'file' && ((flags & FILE) !== 0 || !isPresent)) map.optional.add(address);
  // An empty page that is only marked looks as if it were in the swap.
  if (map.kind === 'anonymous' && !isPresent && !page.equals(ZEROS)) map.swapped.add(address);
}
