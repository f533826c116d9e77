/** What preflight looks at: read-only facts about a running tree. */
import { type BigIntStats, statSync } from 'node:fs';
import { isFrozen, membershipsOf, readCgroupMounts } from '../proc/cgroups';
import { type Descriptor, descriptors, statDescriptor } from '../proc/descriptors';
import { type MemoryMap, memoryMaps } from '../proc/maps';
import { type TcpSocket, tcpSockets, unixPeers } from '../proc/sockets';
import { type ProcessIdentity, type ProcessStat, processIdentity, readLink } from '../proc/stat';
import { subtree } from '../proc/subtree';

export interface TaskFacts {
  readonly stat: ProcessStat;
  readonly identity: ProcessIdentity;
  readonly descriptors: readonly Descriptor[];
  readonly maps: readonly MemoryMap[];
  readonly namespaces: Readonly<Record<string, string | null>>;
  readonly frozen: boolean;
}

export interface TreeFacts {
  /** Whose tree it is. */
  readonly ownerUid: number;
  readonly tasks: readonly TaskFacts[];
  /** Namespaces of the agent itself: what CRIU would share with it. */
  readonly ownNamespaces: Readonly<Record<string, string | null>>;
  /** Mount and pid namespace of the cell's init; the agent's own for a tree without a cell. */
  readonly homeNamespaces: Readonly<Record<string, string | null>>;
  readonly tcp: readonly TcpSocket[];
  readonly unixPeers: ReadonlyMap<number, number>;
  /** Bytes of open files that no path leads to any more, by "pid:fd". */
  readonly deletedBytes: ReadonlyMap<string, number>;
  /** Open files whose name is gone while their inode has others, by "pid:fd". */
  readonly otherNames: ReadonlyMap<string, OtherNames>;
  readonly jobAddresses: ReadonlySet<string>;
}

export interface OtherNames {
  readonly inode: string;
  readonly count: number;
}

const NAMESPACES = ['mnt', 'pid', 'net', 'ipc', 'user', 'uts', 'cgroup'];

const namespacesOf = (pid: number | 'self'): Record<string, string | null> =>
  Object.fromEntries(NAMESPACES.map((kind) => [kind, readLink(`/proc/${pid}/ns/${kind}`)]));

/** What a descriptor has open when the name it was opened by is gone; a file may also be called "… (deleted)". */
function unnamedFile({ pid, fd, target }: Descriptor): BigIntStats | null {
  if (!target.endsWith(' (deleted)')) return null;
  const file = statDescriptor(pid, fd);
  if (file === null) return null;
  const named = statSync(`/proc/${pid}/root${target}`, { bigint: true, throwIfNoEntry: false });
  return named !== undefined && named.ino === file.ino && named.dev === file.dev ? null : file;
}

export async function treeFacts(
  rootPid: number,
  ownerUid: number,
  homePid: number | null,
  jobAddresses: readonly string[],
): Promise<TreeFacts> {
  const mounts = readCgroupMounts();
  const tasks = subtree(rootPid).flatMap((stat): TaskFacts[] => {
    const identity = processIdentity(stat.pid);
    // A zombie has nothing left, unless it is the first of several threads: the others have all there is.
    if (identity === null || (stat.state === 'Z' && identity.threadCount < 2)) return [];
    return [
      {
        stat,
        identity,
        descriptors: descriptors(stat.pid),
        maps: memoryMaps(stat.pid),
        namespaces: namespacesOf(stat.pid),
        frozen: isFrozen(membershipsOf(stat.pid), mounts),
      },
    ];
  });
  const deletedBytes = new Map<string, number>();
  const otherNames = new Map<string, OtherNames>();
  for (const descriptor of tasks.flatMap((task) => task.descriptors)) {
    const file = unnamedFile(descriptor);
    if (file === null) continue;
    const key = `${descriptor.pid}:${descriptor.fd}`;
    deletedBytes.set(key, Number(file.size));
    if (file.nlink > 0n) otherNames.set(key, { inode: String(file.ino), count: Number(file.nlink) });
  }
  return {
    ownerUid,
    tasks,
    ownNamespaces: namespacesOf('self'),
    homeNamespaces: homePid === null ? namespacesOf('self') : namespacesOf(homePid),
    tcp: tasks.length > 0 ? tcpSockets(rootPid) : [],
    unixPeers: await unixPeers(),
    deletedBytes,
    otherNames,
    jobAddresses: new Set([...jobAddresses, '127.0.0.1', '0000:0000:0000:0000:0000:0000:0000:0001']),
  };
}
