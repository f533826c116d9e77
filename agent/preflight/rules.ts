/**
 * Preflight: what would make a capture or a restart fail, said before anything is frozen (invariant F4).
 * Pure: facts in, findings out. A blocker refuses the checkpoint; advice does not.
 */
import type { Finding } from '../../proto/gen/holdfast/v1/agent';
import type { Descriptor } from '../proc/descriptors';
import type { TaskFacts, TreeFacts } from './facts';

/** CRIU copies deleted files into its images; beyond this they do not fit the image directory. */
export const GHOST_LIMIT_BYTES = 1 << 30;

export interface Findings {
  readonly blockers: Finding[];
  readonly advice: Finding[];
}

type Rule = (task: TaskFacts, facts: TreeFacts) => Finding[];

const finding = (task: TaskFacts, fd: number, object: string, problem: string, remedy: string): Finding => ({
  node: '',
  pid: task.stat.pid,
  fd,
  object,
  problem,
  remedy,
});

const SAFE_DEVICES =
  /^\/dev\/(null|zero|full|random|urandom|tty\d*|console|ptmx|pts\/.*|shm\/.*|mqueue\/.*)$/;

const DESCRIPTOR_PROBLEMS: readonly [RegExp, string, string][] = [
  [/^anon_inode:\[io_uring\]/, 'an io_uring instance cannot be captured', 'switch the I/O library to epoll'],
  [
    /^anon_inode:\[?perf_event/,
    'a performance counter cannot be captured',
    'start the job without its profiler',
  ],
  [/^anon_inode:\[?bpf/, 'a BPF object cannot be captured', 'start the job without it'],
  [/^anon_inode:\[?kvm/, 'a virtual machine cannot be captured', 'run the job outside it'],
  [
    /^\/dev\/infiniband\//,
    'RDMA connections live in the adapter',
    'use OMPI_MCA_btl=tcp,self,vader, OMPI_MCA_pml=ob1',
  ],
  [/^\/dev\/(nvidia|kfd|dri\/)/, 'GPU state cannot be captured', 'run without the GPU'],
];

function descriptorRule(task: TaskFacts): Finding[] {
  return task.descriptors.flatMap(({ fd, target }) => {
    const known = DESCRIPTOR_PROBLEMS.find(([pattern]) => pattern.test(target));
    if (known) return [finding(task, fd, target, known[1], known[2])];
    if (target.startsWith('/dev/') && !SAFE_DEVICES.test(target) && !target.endsWith(' (deleted)')) {
      return [finding(task, fd, target, 'device state cannot be captured', 'close it before the checkpoint')];
    }
    return [];
  });
}

const socketInode = ({ target }: Descriptor): number => Number(/^socket:\[(\d+)\]$/.exec(target)?.[1] ?? 0);

function unixSocketRule(task: TaskFacts, facts: TreeFacts): Finding[] {
  const inside = new Set(facts.tasks.flatMap((other) => other.descriptors.map(socketInode)));
  return task.descriptors.flatMap((descriptor) => {
    const peer = facts.unixPeers.get(socketInode(descriptor));
    if (peer === undefined || inside.has(peer)) return [];
    const problem = 'it is connected to a process outside the tree';
    return [
      finding(
        task,
        descriptor.fd,
        `UNIX ${descriptor.target}`,
        problem,
        'close that connection, or checkpoint the parent',
      ),
    ];
  });
}

function deletedFileRule(task: TaskFacts, facts: TreeFacts): Finding[] {
  return task.descriptors.flatMap(({ pid, fd, target }) => {
    const size = facts.deletedBytes.get(`${pid}:${fd}`) ?? 0;
    if (size <= GHOST_LIMIT_BYTES) return [];
    return [
      finding(
        task,
        fd,
        target,
        `a deleted file of ${size} bytes is too large to travel`,
        'keep the file linked',
      ),
    ];
  });
}

/**
 * CRIU gives such a file a name for the time of a dump, and its images ask for that name; it takes it back when the
 * job runs on, so no restore would find it.
 */
function otherNamesRule(task: TaskFacts, { otherNames }: TreeFacts): Finding[] {
  return task.descriptors.flatMap(({ pid, fd, target }) => {
    const others = otherNames.get(`${pid}:${fd}`);
    if (others === undefined) return [];
    const problem = `its name is gone, but the file has ${others.count} more: a restart would not find it`;
    const remedy = `close it, or remove its other names as well (find -inum ${others.inode})`;
    return [finding(task, fd, target, problem, remedy)];
  });
}

const hasLostLeader = ({ stat, identity }: TaskFacts): boolean =>
  stat.state === 'Z' && identity.threadCount > 1;

function leaderRule(task: TaskFacts): Finding[] {
  if (!hasLostLeader(task)) return [];
  const problem =
    'its first thread has ended while others run: neither CRIU nor the memory engine can reach them';
  return [finding(task, -1, task.stat.comm, problem, 'let the first thread wait for the others')];
}

function taskRule(task: TaskFacts, facts: TreeFacts): Finding[] {
  if (hasLostLeader(task)) return []; // /proc shows nothing of it
  const found: Finding[] = [];
  const add = (object: string, problem: string, remedy: string) =>
    found.push(finding(task, -1, object, problem, remedy));
  if (task.identity.tracerPid !== 0)
    add(`pid ${task.stat.pid}`, `it is traced by pid ${task.identity.tracerPid}`, 'detach the debugger');
  if (facts.ownerUid !== 0 && task.identity.uids.some((uid) => uid !== facts.ownerUid)) {
    const problem = `it runs with other rights than its owner's (uids ${task.identity.uids.join(', ')})`;
    add(`pid ${task.stat.pid}`, problem, 'end sudo, su and the like in the job before the checkpoint');
  }
  if (task.frozen)
    add(`pid ${task.stat.pid}`, 'its freezer cgroup is frozen', 'thaw it first (scontrol resume)');
  if (task.namespaces.user !== facts.ownNamespaces.user)
    add('user namespace', 'it lives in a user namespace of its own', 'start it without one');
  if (task.namespaces.mnt !== facts.homeNamespaces.mnt)
    add('mount namespace', 'it lives in a mount namespace of its own', 'start it with holdfast run');
  if (task.namespaces.net !== facts.ownNamespaces.net)
    add('network namespace', 'it lives in a network namespace of its own', 'start it with holdfast run');
  const sysv = task.maps.find((map) => map.path.startsWith('/SYSV'));
  if (sysv && task.namespaces.ipc === facts.ownNamespaces.ipc)
    add(
      `SysV shared memory at ${sysv.start}`,
      "it is in the node's IPC namespace",
      'start the job with holdfast run',
    );
  return found;
}

const BLOCKERS: readonly Rule[] = [
  descriptorRule,
  unixSocketRule,
  deletedFileRule,
  otherNamesRule,
  leaderRule,
  taskRule,
];

function outsideConnectionRule(task: TaskFacts, facts: TreeFacts): Finding[] {
  const sockets = new Map(facts.tcp.map((socket) => [socket.inode, socket]));
  return task.descriptors.flatMap((descriptor) => {
    const socket = sockets.get(socketInode(descriptor));
    if (!socket || socket.listening || facts.jobAddresses.has(socket.remoteAddress)) return [];
    const object = `TCP connection to ${socket.remoteAddress}:${socket.remotePort}`;
    return [
      finding(
        task,
        descriptor.fd,
        object,
        'its peer is not part of the job',
        'it will be reset after a restart',
      ),
    ];
  });
}

const ADVICE: readonly Rule[] = [outsideConnectionRule];

export function preflight(facts: TreeFacts): Findings {
  const apply = (rules: readonly Rule[]) =>
    facts.tasks.flatMap((task) => rules.flatMap((rule) => rule(task, facts)));
  return { blockers: apply(BLOCKERS), advice: apply(ADVICE) };
}

/**
 * The findings of a first look that a second one confirms. The tree runs on while it is looked at: a process that is
 * just ending, or the first end of a new connection, must not refuse a checkpoint. Pure.
 */
export function lasting(first: readonly Finding[], second: readonly Finding[]): Finding[] {
  const name = ({ pid, fd, object, problem }: Finding) => [pid, fd, object, problem].join('\0');
  const confirmed = new Set(second.map(name));
  return first.filter((one) => confirmed.has(name(one)));
}
