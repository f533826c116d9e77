/** /proc/PID/maps, read without the engine. */
import { readFileSync } from 'node:fs';

export interface MapLine {
  readonly start: number;
  readonly end: number;
  /** As in mmap(2): 1 read, 2 write, 4 execute. */
  readonly protection: number;
  readonly isShared: boolean;
  readonly offset: number;
  /** Of the device. */
  readonly major: number;
  readonly minor: number;
  readonly inode: number;
  readonly name: string;
}

const LINE = /^([0-9a-f]+)-([0-9a-f]+) (.)(.)(.)(.) ([0-9a-f]+) ([0-9a-f]+):([0-9a-f]+) (\d+) *(.*)$/;

export function mapLines(pid: number): MapLine[] {
  return readFileSync(`/proc/${pid}/maps`, 'latin1').split('\n').flatMap(parseLine);
}

function parseLine(line: string): MapLine[] {
  const [, start, end, read, write, execute, sharing, offset, major, minor, inode, name] =
    LINE.exec(line) ?? [];
  if (name === undefined) return [];
  const hex = (text: string | undefined) => Number(`0x${text}`);
  return [
    {
      start: hex(start),
      end: hex(end),
      protection: (read === 'r' ? 1 : 0) | (write === 'w' ? 2 : 0) | (execute === 'x' ? 4 : 0),
      isShared: sharing === 's',
      offset: hex(offset),
      major: hex(major),
      minor: hex(minor),
      inode: Number(inode),
      name,
    },
  ];
}

/** Private huge pages are shown as a file without a name. */
export const isHuge = ({ name }: MapLine): boolean => name === '/anon_hugepage (deleted)';

/** Shared memory without a file: anonymous, or a memfd. */
export const isSegment = ({ isShared, name }: MapLine): boolean =>
  isShared && /^\/(dev\/zero|memfd:.*) \(deleted\)$/.test(name);

/** What the kernel gives each process by itself. */
export const isKernels = ({ name }: MapLine): boolean => /^\[(vdso|vvar|vsyscall|uprobes)/.test(name);
