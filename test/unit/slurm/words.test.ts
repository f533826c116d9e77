/** What Slurm says in variables and in words, and what is refused inside of it. */
import { commandKey, slurmEnvironment, tasksPerNode } from '../../../cli/slurm/environment';
import { refuseLauncher } from '../../../cli/slurm/refuse';
import { parseJob } from '../../../core/slurm/scontrol';

test.each([
  ['2(x3),1', [2, 2, 2, 1]],
  ['4', [4]],
  ['', []],
])('tasks per node %j', (text, counts) => expect(tasksPerNode(text)).toEqual(counts));

test('the variables of a task', () => {
  const environment = {
    ...{ SLURM_JOB_ID: '12', SLURM_CLUSTER_NAME: 'sim', SLURM_RESTART_COUNT: '2', SLURM_JOB_NUM_NODES: '2' },
    ...{ SLURM_JOB_NODELIST: 'n[1-2]', SLURM_TASKS_PER_NODE: '2(x2)', SLURM_JOB_END_TIME: '1700000000' },
  };
  expect(slurmEnvironment(environment)).toEqual({
    ...{ cluster: 'sim', jobId: 12, restartCount: 2, nodeCount: 2, nodeList: 'n[1-2]' },
    ...{ tasksPerNode: [2, 2], endMs: 1_700_000_000_000, name: '12', part: '' },
  });
  expect(slurmEnvironment({})).toBeNull();
});

const SHOWN =
  'JobId=12 JobName=job.sh UserId=alice(2001) Requeue=1 Restarts=0 BatchFlag=1 Reboot=0 RunTime=00:00:05 ' +
  'JobState=RUNNING StartTime=2026-11-28T19:00:00 EndTime=2026-11-28T20:00:00 PreemptTime=None StdOut=/home/alice/slurm-12.out';

test('scontrol show job', () => {
  expect(parseJob(SHOWN, 12)).toEqual({
    ...{
      name: '12',
      state: 'RUNNING',
      endMs: new Date(2026, 10, 28, 20).getTime(),
      isPreempted: false,
      mayRequeue: true,
      restarts: 0,
    },
    outputPath: '/home/alice/slurm-12.out',
  });
  const preempted = SHOWN.replace('PreemptTime=None', 'PreemptTime=2026-11-28T19:30:00');
  expect(parseJob(preempted.replace(/EndTime=\S+/, 'EndTime=Unknown'), 12)).toMatchObject({
    endMs: 0,
    isPreempted: true,
  });
});

test('the last task of an array, which has the number of all of it', () => {
  const shown = [
    'JobId=12 ArrayJobId=12 ArrayTaskId=2 JobState=RUNNING Restarts=1',
    'JobId=14 ArrayJobId=12 ArrayTaskId=1 JobState=COMPLETED Restarts=0',
  ];
  expect(parseJob(shown.reverse().join('\n'), 12)).toMatchObject({
    name: '12_2',
    state: 'RUNNING',
    restarts: 1,
  });
  expect(parseJob(shown.join('\n'), 14)).toMatchObject({ name: '12_1', state: 'COMPLETED' });
  expect(parseJob('JobId=12 ArrayJobId=12 ArrayTaskId=1-5 JobState=PENDING', 12).name).toBe('12');
});

const keyIn = (directory: string, argv: string[], environment: Record<string, string> = {}): string => {
  const slurm = slurmEnvironment({ SLURM_JOB_ID: '12', ...environment });
  return commandKey(argv, directory, slurm ?? { part: '' });
};

test('the same words elsewhere are another command', () => {
  const key = keyIn('/x', ['a', 'b']);
  expect(keyIn('/x', ['a', 'b'])).toBe(key);
  expect(keyIn('/x', ['a b'])).not.toBe(key);
  expect(keyIn('/y', ['a', 'b'])).not.toBe(key);
});

test('each task of an array or a step has commands of its own, in every run of the script', () => {
  const task = (number: string, job = '12', more = {}) =>
    keyIn('/x', ['a'], { SLURM_JOB_ID: job, SLURM_ARRAY_JOB_ID: '12', SLURM_ARRAY_TASK_ID: number, ...more });
  expect(task('3')).not.toBe(task('4'));
  expect(task('3', '15')).toBe(task('3', '22'));
  expect(task('0')).not.toBe(keyIn('/x', ['a']));
  expect(keyIn('/x', ['a'], { SLURM_PROCID: '1' })).not.toBe(keyIn('/x', ['a'], { SLURM_PROCID: '0' }));
  const environment = { SLURM_JOB_ID: '15', SLURM_ARRAY_JOB_ID: '12', SLURM_ARRAY_TASK_ID: '0' };
  expect(slurmEnvironment(environment)?.name).toBe('12_0');
});

test.each([
  [['srun', './app', '5'], 1, 'use `holdfast run -- ./app 5`'],
  [['/usr/bin/srun', '-n', '4', './app'], 2, 'use `holdfast mpirun -n TASKS ./app`'],
  [['mpirun', '-n', '4', './app'], 2, 'use `holdfast mpirun -n 4 ./app`'],
  [['mpiexec.hydra', './app'], 2, 'use `holdfast mpirun ./app`'],
  [['mpirun', './app'], 1, null],
  [['./srun-like'], 2, null],
])('%j on %d nodes', (argv, nodeCount, remedy) => {
  const slurm = slurmEnvironment({ SLURM_JOB_ID: '1', SLURM_JOB_NUM_NODES: String(nodeCount) });
  if (slurm === null) throw new Error('no environment');
  const attempt = () => refuseLauncher(argv, slurm);
  if (remedy === null) expect(attempt).not.toThrow();
  else expect(attempt).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', remedy }));
});
