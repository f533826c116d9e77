/** Control groups of a process, and where they can be seen (cgroups(7), proc_pid_mountinfo(5)). */
import { join } from 'node:path';
import { readText } from './stat';

export interface Membership {
  /** None: version 2. */
  readonly controllers: readonly string[];
  /** As /proc shows it: seen from the reader's cgroup namespace. */
  readonly path: string;
}

export interface CgroupMount {
  readonly version: 1 | 2;
  /** Of a hierarchy of version 1. */
  readonly controllers: readonly string[];
  /** The directory of the hierarchy that is seen at the mount point; another one than "/" in containers. */
  readonly root: string;
  readonly point: string;
}

/** @param text of /proc/PID/cgroup */
export function parseMemberships(text: string): Membership[] {
  return text.split('\n').flatMap((line) => {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    return path === '' ? [] : [{ controllers: controllers.split(',').filter(Boolean), path }];
  });
}

const unescaped = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/** @param text of /proc/PID/mountinfo */
export function parseCgroupMounts(text: string): CgroupMount[] {
  return text.split('\n').flatMap((line): CgroupMount[] => {
    const match = /^\d+ \d+ \S+ (\S+) (\S+) .*? - (cgroup2?) \S+ (\S+)$/.exec(line);
    if (!match) return [];
    const [, root = '', point = '', type, options = ''] = match;
    const place = { root: unescaped(root), point: unescaped(point) };
    if (type === 'cgroup2') return [{ ...place, version: 2, controllers: [] }];
    return [{ ...place, version: 1, controllers: options.split(',') }];
  });
}

const isOf = ({ controllers }: Membership, mount: CgroupMount): boolean =>
  controllers.length === 0
    ? mount.version === 2
    : mount.version === 1 && controllers.every((name) => mount.controllers.includes(name));

/** Where the group can be looked at; null when no mount shows it. Pure. */
export function groupDirectory(mounts: readonly CgroupMount[], membership: Membership): string | null {
  const { path } = membership;
  // A group outside of the namespace is "/../x"; one that was removed keeps its name with a mark.
  if (path.split('/').includes('..')) return null;
  // The newest mount hides those before it.
  for (const mount of mounts.filter((one) => isOf(membership, one)).reverse()) {
    if (mount.root === '/') return join(mount.point, path);
    if (path === mount.root) return mount.point;
    if (path.startsWith(`${mount.root}/`)) return join(mount.point, path.slice(mount.root.length));
  }
  return null;
}

/** @param base prefixes all paths: "" but in tests */
export function readCgroupMounts(base = ''): CgroupMount[] {
  return parseCgroupMounts(readText(`${base}/proc/self/mountinfo`) ?? '');
}

export function membershipsOf(pid: number, base = ''): Membership[] {
  return parseMemberships(readText(`${base}/proc/${pid}/cgroup`) ?? '');
}

/** Whether a freezer (of either version) holds the groups, by themselves or with one above them. */
export function isFrozen(
  memberships: readonly Membership[],
  mounts: readonly CgroupMount[],
  base = '',
): boolean {
  return memberships.some((membership) => {
    const isVersion2 = membership.controllers.length === 0;
    if (!isVersion2 && !membership.controllers.includes('freezer')) return false;
    const directory = groupDirectory(mounts, membership);
    if (directory === null) return false;
    if (isVersion2) return /^frozen 1$/m.test(readText(join(base, directory, 'cgroup.events')) ?? '');
    const state = readText(join(base, directory, 'freezer.state'));
    return state !== null && state.trim() !== 'THAWED';
  });
}
