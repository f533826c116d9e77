/** One process as /proc shows it (proc_pid_stat(5), proc_pid_status(5)). */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface ProcessStat {
  readonly pid: number;
  readonly comm: string;
  readonly state: string;
  readonly parentPid: number;
  readonly sessionId: number;
  /** Clock ticks after boot: with the pid it names a process for ever. */
  readonly startTicks: number;
}

// Also refused to root: a process with more capabilities than ours, or one that a security module guards.
const GONE_OR_GUARDED = ['ENOENT', 'ESRCH', 'EACCES', 'EPERM'];

/** A /proc file's text, or null when the process is gone or not ours to look at. Other errors are thrown. */
export function readProc(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (GONE_OR_GUARDED.includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}

/** A file's text, or null when it cannot be read, whatever the reason: for paths that others have named. */
export function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

/** The target of a /proc link, or null when it is gone or the kernel keeps it to itself. */
export function readLink(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}

export function processStat(pid: number): ProcessStat | null {
  const text = readProc(`/proc/${pid}/stat`);
  return text === null ? null : parseStat(pid, text);
}

/** Pure: the text of a stat file. */
export function parseStat(pid: number, text: string): ProcessStat {
  // The name is in parentheses and may hold any character, also ')'.
  const nameEnd = text.lastIndexOf(')');
  const fields = text.slice(nameEnd + 2).split(' ');
  return {
    pid,
    comm: text.slice(text.indexOf('(') + 1, nameEnd),
    state: fields[0] ?? '?',
    parentPid: Number(fields[1]),
    sessionId: Number(fields[3]),
    startTicks: Number(fields[19]),
  };
}

export interface ProcessIdentity {
  /** Real, effective, saved and file system uid. */
  readonly uids: readonly number[];
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups. */
  readonly groups: readonly number[];
  readonly threadCount: number;
  readonly tracerPid: number;
  /** The pid in each nested pid namespace, this one first. */
  readonly namespacePids: readonly number[];
}

export function processIdentity(pid: number): ProcessIdentity | null {
  const text = readProc(`/proc/${pid}/status`);
  return text === null ? null : parseIdentity(text);
}

/** Pure: the text of a status file. */
export function parseIdentity(text: string): ProcessIdentity {
  // A field may be empty, and must not take the next line for its value.
  const field = (name: string): string[] =>
    (new RegExp(`^${name}:(.*)$`, 'm').exec(text)?.[1] ?? '').trim().split(/\s+/);
  return {
    uids: field('Uid').map(Number),
    uid: Number(field('Uid')[0]),
    gid: Number(field('Gid')[0]),
    groups: field('Groups').filter(Boolean).map(Number),
    threadCount: Number(field('Threads')[0]),
    tracerPid: Number(field('TracerPid')[0]),
    namespacePids: field('NSpid').map(Number),
  };
}

export function commandLine(pid: number): string {
  return (readProc(`/proc/${pid}/cmdline`) ?? '').split('\0').filter(Boolean).join(' ');
}

export function allPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** Whether the process with this pid is still the one that started at startTicks, and not a zombie. */
export function isAlive(pid: number, startTicks: number): boolean {
  const stat = processStat(pid);
  return stat !== null && stat.startTicks === startTicks && stat.state !== 'Z' && stat.state !== 'X';
}
