/**
 * The memory of a stopped process, as /proc shows it page by page, and as a generation has it. Written without the engine:
 * pages are found by the entries of /proc/PID/pagemap, and read from /proc/PID/mem.
 */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { decodeBlob } from '../../../native';
import { indexBody, readMaps } from './format';

const PAGE = 4096;
const PRESENT = 0x80;
const SWAPPED = 0x40;
const FILE = 0x20;
const GUARD = 0x04;

export interface ShadowMap {
  readonly start: number;
  readonly end: number;
  readonly kind: 'anonymous' | 'file';
  /** By address: digest of the contents. Pages that are not here are absent, or the file's own. */
  readonly pages: Map<number, string>;
  /** Pages that may be stored or not: what they hold is the file's. */
  readonly optional: Set<number>;
}

/** By pid. */
export type Shadow = Map<number, ShadowMap[]>;

export const digest = (page: Buffer): string => createHash('sha1').update(page).digest('base64');
const ZEROS = digest(Buffer.alloc(PAGE));

export function shadowOf(pids: readonly number[]): Shadow {
  return new Map(pids.map((pid) => [pid, mapsOf(pid)]));
}

function mapsOf(pid: number): ShadowMap[] {
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  const pagemap = openSync(`/proc/${pid}/pagemap`, 'r');
  try {
    const lines = readFileSync(`/proc/${pid}/maps`, 'latin1').split('\n');
    return lines.flatMap((line) => {
      const found = /^([0-9a-f]+)-([0-9a-f]+) ..(.)(.) [0-9a-f]+ [0-9a-f:]+ (\d+) *(.*)$/.exec(line);
      if (!found) return [];
      const [, start, end, , sharing, inode, name] = found;
      if (sharing === 's' || /^\[(vdso|vvar|vsyscall|uprobes)/.test(name ?? '')) return [];
      const range = { start: Number(`0x${start}`), end: Number(`0x${end}`) };
      return [readMap(memory, pagemap, range, inode === '0' ? 'anonymous' : 'file')];
    });
  } finally {
    closeSync(memory);
    closeSync(pagemap);
  }
}

function readMap(
  memory: number,
  pagemap: number,
  { start, end }: { start: number; end: number },
  kind: ShadowMap['kind'],
): ShadowMap {
  const map: ShadowMap = { start, end, kind, pages: new Map(), optional: new Set() };
  const count = (end - start) / PAGE;
  const entries = Buffer.alloc(count * 8);
  if (readSync(pagemap, entries, 0, entries.length, (start / PAGE) * 8) !== entries.length)
    throw new Error('a page map ended early');
  const page = Buffer.alloc(PAGE);
  for (let i = 0; i < count; i++) {
    const flags = entries[i * 8 + 7] ?? 0;
    if ((flags & (PRESENT | SWAPPED)) === 0 || (flags & GUARD) !== 0) continue;
    const address = start + i * PAGE;
    // Not private, or dropped and marked: it shows the file.
    const isFiles = kind === 'file' && ((flags & FILE) !== 0 || (flags & PRESENT) === 0);
    if (readSync(memory, page, 0, PAGE, address) !== PAGE) throw new Error('a page cannot be read');
    map.pages.set(address, digest(page));
    if (isFiles) map.optional.add(address);
  }
  return map;
}

/** Digests of the pages of blobs; each is decoded once. */
export class BlobDigests {
  private readonly known = new Map<string, string[]>();

  constructor(private readonly packs: (number: number) => Buffer | undefined) {}

  of(pack: number, offset: number, length: number): string[] {
    const key = `${pack}:${offset}`;
    let digests = this.known.get(key);
    if (!digests) {
      const body = this.packs(pack);
      if (!body) throw new Error(`pack ${pack} is named and is not there`);
      const raw = decodeBlob(body.subarray(offset, offset + length));
      digests = Array.from({ length: raw.length / PAGE }, (_, i) =>
        digest(raw.subarray(i * PAGE, (i + 1) * PAGE)),
      );
      this.known.set(key, digests);
    }
    return digests;
  }
}

/** What a restore of the generation would write: by pid and address. */
export function pagesOf(
  generation: { index: Buffer; packs: readonly number[] },
  blobs: BlobDigests,
): Map<number, Map<number, string>> {
  const pages = new Map<number, Map<number, string>>();
  for (const { imagePid, chunks } of readMaps(indexBody(generation.index))) {
    const space = pages.get(imagePid) ?? new Map<number, string>();
    pages.set(imagePid, space);
    for (const { pack, offset, length, runs } of chunks) {
      const digests = blobs.of(generation.packs[pack - 1] ?? 0, offset, length);
      for (const { address, pages: count, slot } of runs)
        for (let i = 0; i < count; i++) space.set(Number(address) + i * PAGE, digests[slot + i] ?? '');
    }
  }
  return pages;
}

/** Every page that a restore would get wrong. */
export function differences(shadow: Shadow, restored: Map<number, Map<number, string>>): string[] {
  const wrong: string[] = [];
  for (const [pid, maps] of shadow) {
    const space = new Map(restored.get(pid));
    for (const map of maps) {
      for (const [address, contents] of map.pages) {
        const stored = space.get(address);
        space.delete(address);
        const isRight =
          stored === undefined
            ? map.optional.has(address) || (map.kind === 'anonymous' && contents === ZEROS)
            : stored === contents;
        const what = stored === undefined ? 'is missing' : 'has other contents';
        if (!isRight) wrong.push(`${map.kind} page ${address.toString(16)} of process ${pid} ${what}`);
      }
    }
    // What was absent reads as zeros, or shows the file: nothing may be written there.
    for (const address of space.keys())
      wrong.push(`page ${address.toString(16)} of process ${pid} was not there`);
  }
  return wrong;
}
