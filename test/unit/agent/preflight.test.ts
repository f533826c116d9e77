import type { TaskFacts, TreeFacts } from '../../../agent/preflight/facts';
import { lasting, preflight } from '../../../agent/preflight/rules';

const namespaces = { mnt: 'mnt:1', pid: 'pid:1', net: 'net:1', ipc: 'ipc:1', user: 'user:1' };

function task(change: Partial<TaskFacts> = {}): TaskFacts {
  return {
    stat: { pid: 42, comm: 'job', state: 'S', parentPid: 1, sessionId: 42, startTicks: 7 },
    identity: {
      ...{ uids: [1000, 1000, 1000, 1000], uid: 1000, gid: 100, groups: [] },
      ...{ threadCount: 1, tracerPid: 0, namespacePids: [42] },
    },
    ...{ descriptors: [], maps: [], namespaces, frozen: false },
    ...change,
  };
}

function facts(tasks: TaskFacts[], change: Partial<TreeFacts> = {}): TreeFacts {
  return {
    ...{ tasks, ownerUid: 1000, ownNamespaces: namespaces, homeNamespaces: namespaces, tcp: [] },
    ...{
      unixPeers: new Map(),
      deletedBytes: new Map(),
      otherNames: new Map(),
      jobAddresses: new Set(['10.0.0.1']),
    },
    ...change,
  };
}

const open = (fd: number, target: string) => ({ pid: 42, fd, target, position: 0, flags: 2 });
const problems = (tasks: TaskFacts[], change: Partial<TreeFacts> = {}) =>
  preflight(facts(tasks, change)).blockers;

test('an ordinary process has no blockers', () => {
  const descriptors = [
    open(0, '/dev/null'),
    open(1, '/home/u/out'),
    open(3, 'pipe:[7]'),
    open(4, 'anon_inode:[eventpoll]'),
  ];
  expect(problems([task({ descriptors })])).toEqual([]);
});

test.each([
  ['an io_uring', 'anon_inode:[io_uring]'],
  ['an RDMA device', '/dev/infiniband/uverbs0'],
  ['a GPU', '/dev/nvidia0'],
  ['another device', '/dev/kvm'],
])('%s is refused, naming pid, descriptor and remedy', (_, target) => {
  const [blocker, more] = problems([task({ descriptors: [open(5, target)] })]);
  expect(blocker).toMatchObject({ pid: 42, fd: 5, object: target });
  expect(blocker?.remedy).not.toBe('');
  expect(more).toBeUndefined();
});

test('a process whose first thread has ended while others run is refused', () => {
  const { stat, identity } = task();
  const leaderless = task({ stat: { ...stat, state: 'Z' }, identity: { ...identity, threadCount: 3 } });
  expect(problems([leaderless])).toMatchObject([
    { pid: 42, problem: expect.stringContaining('first thread') },
  ]);
});

test('a UNIX connection that leaves the tree is refused, one inside is not', () => {
  const unixPeers = new Map([
    [100, 101],
    [101, 100],
  ]);
  const inside = [open(3, 'socket:[100]'), open(4, 'socket:[101]')];
  expect(problems([task({ descriptors: inside })], { unixPeers })).toEqual([]);
  expect(problems([task({ descriptors: inside.slice(0, 1) })], { unixPeers })).toMatchObject([{ fd: 3 }]);
});

test('a task with rights that its owner does not have is refused, in a tree of root it is not', () => {
  const sudo = task({ identity: { ...task().identity, uids: [1000, 0, 0, 0] } });
  expect(problems([task(), sudo])).toMatchObject([{ pid: 42, object: 'pid 42' }]);
  expect(problems([sudo], { ownerUid: 0 })).toEqual([]);
});

test.each([
  ['traced', { identity: { ...task().identity, tracerPid: 9 } }, /traced by pid 9/],
  ['frozen by somebody', { frozen: true }, /freezer/],
  ['in another mount namespace', { namespaces: { ...namespaces, mnt: 'mnt:2' } }, /mount namespace/],
  ['in another network namespace', { namespaces: { ...namespaces, net: 'net:2' } }, /network namespace/],
])('a process that is %s is refused', (_, change, problem) => {
  expect(problems([task(change)]).map((found) => found.problem)).toEqual([expect.stringMatching(problem)]);
});

test("SysV memory is refused in the node's IPC namespace only", () => {
  const sysv = {
    pid: 42,
    start: '7f00',
    permissions: 'rw-s',
    inode: 5,
    path: '/SYSV00000000',
    deleted: true,
  };
  expect(problems([task({ maps: [sysv] })])).toHaveLength(1);
  expect(problems([task({ maps: [sysv], namespaces: { ...namespaces, ipc: 'ipc:2' } })])).toEqual([]);
});

test('a file whose name is gone is refused while it has others', () => {
  const tasks = [task({ descriptors: [open(5, '/home/u/data (deleted)')] })];
  expect(problems(tasks)).toEqual([]);
  const otherNames = new Map([['42:5', { inode: '77', count: 2 }]]);
  expect(problems(tasks, { otherNames })).toMatchObject([
    { pid: 42, fd: 5, object: '/home/u/data (deleted)', remedy: expect.stringContaining('find -inum 77') },
  ]);
});

test('a connection to somewhere else is advice, not a blocker', () => {
  const socket = { inode: 100, localPort: 4000, remotePort: 80, listening: false };
  const descriptors = [open(3, 'socket:[100]')];
  const found = (remoteAddress: string) =>
    preflight(facts([task({ descriptors })], { tcp: [{ ...socket, remoteAddress }] }));
  expect(found('10.0.0.1').advice).toEqual([]);
  expect(found('192.0.2.9')).toMatchObject({ blockers: [], advice: [{ fd: 3 }] });
});

test('what is there at a second look counts, what was passing by does not', () => {
  const ending = task({
    stat: { pid: 43, comm: 'sleep', state: 'R', parentPid: 42, sessionId: 42, startTicks: 8 },
    namespaces: { mnt: null, pid: null, net: null, ipc: null, user: null },
  });
  const ring = task({ descriptors: [open(5, 'anon_inode:[io_uring]')] });
  const first = problems([ring, ending]);
  expect(first.map(({ pid }) => pid)).toContain(43);
  expect(lasting(first, problems([ring]))).toEqual(problems([ring]));
  expect(lasting(first, [])).toEqual([]);
});
