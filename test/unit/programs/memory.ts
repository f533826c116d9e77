/** What the memory engine does, in small: keeps the private pages of a process and writes them back. */
import { closeSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';

const PAGE = 4096;
const CHUNK = 256 * PAGE;
/** The kernel's own mappings. */
const SPECIAL = /\[(vdso|vvar|vvar_vclock|vsyscall|uprobes)\]$/;

export interface SavedRange {
  readonly address: number;
  readonly bytes: Buffer;
}

function privateRanges(pid: number): [number, number][] {
  return readFileSync(`/proc/${pid}/maps`, 'utf8')
    .split('\n')
    .filter((line) => /^\S+ ...p /.test(line) && !SPECIAL.test(line))
    .map((line) => {
      const [from = '', to = ''] = (line.split(' ')[0] ?? '').split('-');
      return [Number.parseInt(from, 16), Number.parseInt(to, 16)];
    });
}

/** Pages that cannot be read (guard pages) are left out. */
function readRange(memory: number, from: number, to: number): SavedRange[] {
  const bytes = Buffer.alloc(to - from);
  try {
    if (readSync(memory, bytes, 0, bytes.length, from) === bytes.length) return [{ address: from, bytes }];
  } catch {
    // Page by page, then.
  }
  if (to - from === PAGE) return [];
  const pages = Array.from({ length: (to - from) / PAGE }, (_, index) => from + index * PAGE);
  return pages.flatMap((page) => readRange(memory, page, page + PAGE));
}

export function saveMemory(pid: number): SavedRange[] {
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  const saved: SavedRange[] = [];
  for (const [from, to] of privateRanges(pid)) {
    for (let start = from; start < to; start += CHUNK) {
      saved.push(...readRange(memory, start, Math.min(start + CHUNK, to)));
    }
  }
  closeSync(memory);
  return saved;
}

export function fillMemory(pid: number, saved: readonly SavedRange[]): void {
  const memory = openSync(`/proc/${pid}/mem`, 'r+');
  for (const { address, bytes } of saved) writeSync(memory, bytes, 0, bytes.length, address);
  closeSync(memory);
}
