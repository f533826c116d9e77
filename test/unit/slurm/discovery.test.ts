/** Tasks of Slurm's are found in every layout of its control groups, and without them; nothing else is taken for one. */
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { identityOf } from '../../../agent/slurm/discovery/discover';
import { findTasks } from '../../../agent/slurm/discovery/find';
import { placeOf, stepOfTitle } from '../../../agent/slurm/discovery/layout';
import { programsOf } from '../../../agent/slurm/discovery/programs';
import { parseEnvironment, readNode } from '../../../agent/slurm/discovery/read';
import { isSelected, nameOf, parseSelection } from '../../../core/slurm/selection';
import { type FakeProcess, NodeTree } from './support/nodeTree';

const ALICE = 2001;
const SLUID = 'sEKNKTV3WPV500';
const V1 = [
  '30 20 0:26 / /sys/fs/cgroup/freezer rw,nosuid - cgroup cgroup rw,freezer',
  '31 20 0:27 / /sys/fs/cgroup/memory rw,nosuid - cgroup cgroup rw,memory',
];
const V2 = ['30 20 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate'];
const SCOPE = '/system.slice/slurmstepd.scope';

let tree: NodeTree | null = null;
afterEach(() => {
  tree?.remove();
  tree = null;
});

function node(mounts: readonly string[]): NodeTree {
  tree = new NodeTree(mounts);
  tree.add({ pid: 1, parent: 0, uid: 0, comm: 'systemd' });
  tree.add({ pid: 2, parent: 0, uid: 0, comm: 'kthreadd', words: [] });
  return tree;
}

function found(cells: number[] = []) {
  const facts = readNode(new Set(cells), tree?.base);
  return (facts ? findTasks(facts) : []).map(({ jobId, jobIdFrom, step, task, roots, uid, frozen }) => ({
    ...{ jobId, jobIdFrom, step, task, uid, frozen, pids: roots.map(({ pid }) => pid) },
  }));
}

const rank = (number: number, more: Record<string, string> = {}) => ({
  ...{ SLURM_PROCID: String(number), SLURM_JOB_UID: String(ALICE) },
  ...more,
});

describe('version 1', () => {
  const group = (job: number, step: string, uid = ALICE) => [
    `7:freezer:/slurm/uid_${uid}/job_${job}/step_${step}`,
    '4:memory:/user.slice',
    '0::/',
  ];

  test('several jobs and steps, with tasks by their rank, orphans with their task, and what is frozen', () => {
    const here = node(V1);
    here.addDaemon(10, '[12.batch]');
    here.add({ pid: 11, parent: 10, comm: 'bash', groups: group(12, 'batch'), environment: rank(0) });
    here.add({ pid: 12, parent: 11, comm: 'srun', groups: group(12, 'batch') });
    here.addDaemon(20, '[12.0]');
    here.add({ pid: 21, parent: 20, groups: group(12, '0'), environment: rank(0) });
    here.add({ pid: 22, parent: 20, groups: group(12, '0'), environment: rank(1) });
    here.add({ pid: 23, parent: 22, groups: group(12, '0') });
    here.add({ pid: 24, parent: 1, groups: group(12, '0'), environment: rank(1) });
    here.add({ pid: 25, parent: 22, state: 'Z', groups: group(12, '0') });
    here.addDaemon(30, '[13.extern]');
    here.add({ pid: 31, parent: 30, comm: 'sleep', groups: group(13, 'extern') });
    here.addDaemon(40, '[13.1]');
    here.add({ pid: 41, parent: 40, groups: group(13, '1'), environment: rank(0) });
    here.write('sys/fs/cgroup/freezer/slurm/uid_2001/job_13/step_1/freezer.state', 'FROZEN\n');
    here.write('sys/fs/cgroup/freezer/slurm/uid_2001/job_12/step_0/freezer.state', 'THAWED\n');
    const task = { jobIdFrom: 'group', uid: ALICE, frozen: false };
    expect(found()).toEqual([
      { ...task, jobId: 12, step: '0', task: 0, pids: [21] },
      { ...task, jobId: 12, step: '0', task: 1, pids: [22, 24] },
      { ...task, jobId: 12, step: 'batch', task: 0, pids: [11] },
      { ...task, jobId: 13, step: '1', task: 0, pids: [41], frozen: true },
    ]);
  });

  test('a node name in the group, a hierarchy that is seen from inside a container, and task groups', () => {
    const here = node(['30 20 0:26 /box /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer']);
    here.addDaemon(10, '[5.3]');
    const step = '/box/slurm_n1/uid_2001/job_5/step_3';
    here.add({ pid: 11, parent: 10, groups: [`7:freezer:${step}`, `6:cpuacct:${step}/task_2`] });
    here.write('sys/fs/cgroup/freezer/slurm_n1/uid_2001/job_5/step_3/freezer.state', 'FREEZING\n');
    expect(found()).toMatchObject([{ jobId: 5, step: '3', task: 2, pids: [11], frozen: true }]);
  });

  test("a process in the groups of another user's job is not of it", () => {
    const here = node(V1);
    here.addDaemon(10, '[12.0]');
    here.add({ pid: 11, parent: 1, uid: 3000, groups: group(12, '0'), environment: rank(0) });
    expect(found()).toEqual([]);
  });
});

describe('version 2', () => {
  const user = (job: string, step: string, task: string) => [
    `0::${SCOPE}/${job}/step_${step}/user/task_${task}`,
  ];
  const slurms = (job: string, step: string) => [`0::${SCOPE}/${job}/step_${step}/slurm`];

  test('tasks by their groups; what is in the part of Slurm is none', () => {
    const here = node(V2);
    here.addDaemon(10, '[12.batch]', slurms('job_12', 'batch'));
    here.add({ pid: 11, parent: 10, comm: 'bash', groups: user('job_12', 'batch', '0') });
    here.addDaemon(20, '[12.0]', slurms('job_12', '0'));
    here.add({ pid: 21, parent: 20, comm: 'helper', uid: 0, groups: slurms('job_12', '0') });
    here.add({ pid: 22, parent: 20, groups: user('job_12', '0', '0') });
    here.add({ pid: 23, parent: 20, groups: user('job_12', '0', '1') });
    here.add({ pid: 24, parent: 1, groups: user('job_12', '0', 'special'), environment: rank(1) });
    // On the second node of a step groups begin with 0 again.
    here.addDaemon(30, '[13.0]', slurms('job_13', '0'));
    here.add({ pid: 31, parent: 30, groups: user('job_13', '0', '0'), environment: rank(4) });
    here.write(`sys/fs/cgroup${SCOPE}/job_12/step_0/user/task_1/cgroup.events`, 'populated 1\nfrozen 1\n');
    expect(found()).toEqual([
      { jobId: 12, jobIdFrom: 'group', step: '0', task: 0, uid: ALICE, frozen: false, pids: [22] },
      { jobId: 12, jobIdFrom: 'group', step: '0', task: 1, uid: ALICE, frozen: true, pids: [23, 24] },
      { jobId: 12, jobIdFrom: 'group', step: 'batch', task: 0, uid: ALICE, frozen: false, pids: [11] },
      { jobId: 13, jobIdFrom: 'group', step: '0', task: 4, uid: ALICE, frozen: false, pids: [31] },
    ]);
  });

  test('a job named by its SLUID has the number of its slurmstepd, also in a step whose own is not there', () => {
    const here = node(V2);
    here.addDaemon(10, '[77.batch]', slurms(SLUID, 'batch'));
    here.add({ pid: 11, parent: 10, comm: 'bash', groups: user(SLUID, 'batch', '0') });
    // Its user says otherwise, which changes nothing.
    const lie = rank(0, { SLURM_JOB_ID: '1' });
    here.add({ pid: 21, parent: 1, groups: user(SLUID, '4', '0'), environment: lie });
    expect(found()).toMatchObject([
      { jobId: 77, jobIdFrom: 'slurmstepd', step: '4', task: 0, pids: [21] },
      { jobId: 77, jobIdFrom: 'slurmstepd', step: 'batch', pids: [11] },
    ]);
  });

  test.each<[string, Partial<FakeProcess>[], number[]]>([
    ['all agree', [{ environment: rank(0, { SLURM_JOB_ID: '9' }) }, { environment: {} }], [9]],
    [
      'two say different numbers',
      [{ environment: rank(0, { SLURM_JOB_ID: '9' }) }, { environment: rank(1, { SLURM_JOB_ID: '8' }) }],
      [],
    ],
    ['nobody says one', [{}, {}], []],
    ["the number is of another user's job", [{ environment: { SLURM_JOB_ID: '9', SLURM_JOB_UID: '1' } }], []],
    ['it is no number', [{ environment: { SLURM_JOB_ID: '09x' } }], []],
  ])('without a slurmstepd of the job its processes are asked: %s', (_, processes, jobs) => {
    const here = node(V2);
    here.addDaemon(5, '[3.0]', slurms('job_3', '0'));
    for (const [i, process] of processes.entries())
      here.add({ pid: 50 + i, parent: 1, groups: user(SLUID, '0', String(i)), ...process });
    const tasks = found();
    expect([...new Set(tasks.map(({ jobId }) => jobId))]).toEqual(jobs);
    expect(tasks.every(({ jobIdFrom }) => jobIdFrom === 'environment')).toBe(true);
  });
});

describe('without control groups', () => {
  test('a task is what slurmstepd has started', () => {
    const here = node([]);
    here.addDaemon(10, '[12.0]');
    here.add({ pid: 11, parent: 10, environment: rank(0) });
    here.add({ pid: 12, parent: 10, environment: rank(1) });
    here.add({ pid: 13, parent: 12, comm: 'child' });
    // Not yet its own program.
    here.add({ pid: 14, parent: 10, comm: 'slurmstepd', words: ['slurmstepd: [12.0]'] });
    here.addDaemon(20, '[12.extern]');
    here.add({ pid: 21, parent: 20, comm: 'sleep' });
    here.add({ pid: 30, parent: 1, comm: 'ours' });
    expect(found()).toMatchObject([
      { jobId: 12, jobIdFrom: 'slurmstepd', step: '0', task: 0, pids: [11] },
      { jobId: 12, step: '0', task: 1, pids: [12] },
    ]);
  });

  test('a user who calls his process slurmstepd has no tasks by that', () => {
    const here = node([]);
    here.addDaemon(10, '[12.0]', undefined, ALICE);
    here.add({ pid: 11, parent: 10, environment: rank(0) });
    expect(found()).toEqual([]);
  });
});

test('cells of ours are no tasks of the step that they live in', () => {
  const here = node(V2);
  here.addDaemon(10, '[12.batch]');
  const groups = [`0::${SCOPE}/job_12/step_batch/user/task_0`];
  here.add({ pid: 11, parent: 10, comm: 'bash', groups });
  here.add({ pid: 40, parent: 1, uid: 0, comm: 'holdfast-cell', groups });
  here.add({ pid: 41, parent: 40, groups });
  expect(found([40])).toMatchObject([{ step: 'batch', pids: [11] }]);
});

test('nothing is read further on a node without Slurm', () => {
  node(V2).add({ pid: 9, groups: [`0::${SCOPE}/job_12/step_0/user/task_0`] });
  expect(readNode(new Set(), tree?.base)).toBeNull();
});

test('names that are hostile or of somebody else are none of Slurm', () => {
  const here = node(V2);
  here.addDaemon(10, '[12.0]');
  const paths = [
    `${SCOPE}/job_12/step_0/user/task_0/../../../../job_9`,
    `/..${SCOPE}/job_12/step_0/user/task_0`,
    `${SCOPE}/job_012/step_0/user/task_0`,
    `${SCOPE}/job_12345678901/step_0/user`,
    `${SCOPE}/job_-1/step_0/user`,
    `${SCOPE}/job_1e3/step_0/user`,
    `${SCOPE}/job_12/step_all/user`,
    `${SCOPE}/job_12/step_0/user (deleted)`,
    `${SCOPE}/sfndm35nq39r00/step_0/user/task_0`,
    `${SCOPE}/system`,
    '/system.slice/slurmd.service',
    '/slurm/uid_x/job_12/step_0',
    `/${'a/'.repeat(4096)}slurm/uid_2001/job_12/step_0`,
    `/user.slice/my-slurmstepd.scope.d/job_12/step_0/user/task_0`,
  ];
  for (const [i, path] of paths.entries()) {
    expect({ path, place: placeOf(path) }).toEqual({ path, place: null });
    here.add({ pid: 100 + i, parent: 1, groups: [`0::${path}`, 'nonsense', '5:freezer'] });
  }
  // Of /proc only directories of processes count, whatever else is there.
  mkdirSync(join(here.base, 'proc/12x/fd'), { recursive: true });
  symlinkSync('/etc', join(here.base, 'proc/4711'));
  mkdirSync(join(here.base, 'proc/99999999999'));
  expect(found()).toEqual([]);
});

test.each([
  ['slurmstepd: [4.batch]', { jobId: 4, step: 'batch' }],
  ['slurmstepd: [123.0 stepmgr]', { jobId: 123, step: '0' }],
  ['slurmstepd: [12.3+1]\0\0\0  ', { jobId: 12, step: '3+1' }],
  ['slurmstepd: [12.4294967292]', { jobId: 12, step: 'extern' }],
  ['slurmstepd: [12.4294967290]', { jobId: 12, step: 'interactive' }],
  ['slurmstepd: [12.4294967293]', null],
  ['slurmstepd: [4:namespace]', null],
  ['slurmstepd: [.0]', null],
  ['slurmstepd: [4.0', null],
  ['x slurmstepd: [4.0]', null],
  ['/usr/sbin/slurmstepd infinity', null],
])('the title %j', (title, name) => expect(stepOfTitle(title)).toEqual(name));

describe('what of a task can be tracked', () => {
  const programs = (...processes: FakeProcess[]) => {
    const here = node([]);
    here.addDaemon(10, '[12.batch]');
    here.addDaemon(20, '[12.0]');
    for (const process of processes) here.add(process);
    const facts = readNode(new Set(), here.base);
    if (facts === null) throw new Error('no Slurm');
    return findTasks(facts)
      .flatMap((task) => programsOf(task, facts.processes))
      .map(({ process: { pid }, refusal }) => ({ pid, refusal }));
  };
  const script = {
    pid: 11,
    parent: 10,
    comm: 'bash',
    words: ['/bin/bash', '/var/spool/job00012/slurm_script'],
  };

  test('of a batch script the programs that it runs, but neither srun nor Holdfast', () => {
    expect(
      programs(
        script,
        { pid: 12, parent: 11 },
        { pid: 13, parent: 11, comm: 'srun' },
        { pid: 14, parent: 11, comm: 'node', words: ['node', '/opt/hf/dist/cli/main.js', 'run', './app'] },
        { pid: 15, parent: 11, comm: 'mpirun' },
        { pid: 16, parent: 15, comm: 'srun' },
        { pid: 17, parent: 11, state: 'Z' },
      ),
    ).toEqual([
      { pid: 12, refusal: '' },
      { pid: 13, refusal: 'srun cannot be captured: its tasks are found by themselves' },
      { pid: 14, refusal: 'it is Holdfast, which sees to its checkpoints' },
      { pid: 15, refusal: 'it runs srun, which cannot be captured: its tasks are found by themselves' },
    ]);
  });

  test('a script that has become its program is one, and one without a program says so', () => {
    expect(programs({ pid: 11, parent: 10 })).toEqual([{ pid: 11, refusal: '' }]);
    tree?.remove();
    expect(programs(script)).toEqual([
      { pid: 11, refusal: 'the script itself cannot be captured: it has no program now' },
    ]);
  });

  test('a task of a step as a whole, unless Holdfast is in it', () => {
    expect(
      programs(
        { pid: 21, parent: 20, comm: 'sh', environment: rank(0) },
        { pid: 22, parent: 21 },
        { pid: 23, parent: 20, comm: 'sh', environment: rank(1) },
        { pid: 24, parent: 23, comm: 'node', words: ['/bin/sh', '/usr/bin/holdfast', 'run'] },
      ),
    ).toEqual([
      { pid: 21, refusal: '' },
      { pid: 23, refusal: 'it runs Holdfast, which sees to its checkpoints' },
    ]);
  });
});

test('of an environment only what is needed is looked at', () => {
  const text = `SECRET=x\0SLURM_JOB_ID=12\0SLURM_PROCID=${'9'.repeat(10_000)}\0HOLDFAST_SLURM_OPTIONS=a=b\0=\0`;
  expect(parseEnvironment(text)).toEqual({ SLURM_JOB_ID: '12', HOLDFAST_SLURM_OPTIONS: 'a=b' });
});

test('one task of an array and one component of a heterogeneous job are told from the whole', () => {
  const array = identityOf(15, { SLURM_ARRAY_JOB_ID: '12', SLURM_ARRAY_TASK_ID: '3' });
  expect(nameOf(array)).toBe('12_3');
  const groups = { SLURM_JOB_ID: '20', SLURM_JOB_ID_HET_GROUP_0: '20', SLURM_JOB_ID_HET_GROUP_1: '21' };
  const het = identityOf(21, groups);
  expect(nameOf(het)).toBe('20+1');
  expect(nameOf(identityOf(22, groups))).toBe('22');
  const selected = (text: string) => [array, het].map((one) => isSelected(parseSelection(text), one));
  expect(selected('12')).toEqual([true, false]);
  expect(selected('15')).toEqual([true, false]);
  expect(selected('12_3')).toEqual([true, false]);
  expect(selected('12_4')).toEqual([false, false]);
  expect(selected('20')).toEqual([false, true]);
  expect(selected('20+1')).toEqual([false, true]);
  expect(selected('20+0')).toEqual([false, false]);
  for (const wrong of ['', '0', '12_', '12_3_4', '1e3', '12.0', '-1', '12+1_3'])
    expect(() => parseSelection(wrong)).toThrow('names no Slurm job');
});
