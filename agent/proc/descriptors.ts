/** Open descriptors of a process (proc_pid_fd(5), proc_pid_fdinfo(5)). */
import { type BigIntStats, readdirSync, statSync } from 'node:fs';
import { readLink, readProc } from './stat';

export interface Descriptor {
  readonly pid: number;
  readonly fd: number;
  /** What the link says: a path, "pipe:[1234]", "socket:[5]", "anon_inode:[eventpoll]"… */
  readonly target: string;
  readonly position: number;
  /** open(2) flags. */
  readonly flags: number;
}

export function descriptors(pid: number): Descriptor[] {
  let names: string[];
  try {
    names = readdirSync(`/proc/${pid}/fd`);
  } catch {
    return [];
  }
  const found: Descriptor[] = [];
  for (const name of names) {
    const target = readLink(`/proc/${pid}/fd/${name}`);
    const info = readProc(`/proc/${pid}/fdinfo/${name}`);
    if (target === null || info === null) continue;
    found.push({
      pid,
      fd: Number(name),
      target,
      position: Number(/^pos:\s*(\d+)/m.exec(info)?.[1] ?? 0),
      flags: Number.parseInt(/^flags:\s*([0-7]+)/m.exec(info)?.[1] ?? '0', 8),
    });
  }
  return found;
}

/** What the descriptor refers to, also when its path is gone; null when the process is gone. */
export function statDescriptor(pid: number, fd: number): BigIntStats | null {
  try {
    return statSync(`/proc/${pid}/fd/${fd}`, { bigint: true });
  } catch {
    return null;
  }
}

const O_ACCMODE = 3;
const O_APPEND = 0o2000;
const O_DIRECT = 0o40000;

export const isWritable = (flags: number): boolean => (flags & O_ACCMODE) !== 0;
export const isAppend = (flags: number): boolean => (flags & O_APPEND) !== 0;
export const isDirect = (flags: number): boolean => (flags & O_DIRECT) !== 0;
