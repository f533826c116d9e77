/** `holdfast slurm tasks` and `track`, and restarts by the name of a task. */

import { HoldfastError } from '../../../core/errors';
import { SlurmProcess } from '../../../proto/gen/holdfast/v1/agent';
import { Job, type TrackProcessRequest } from '../../../proto/gen/holdfast/v1/coordinator';
import { useCli } from './support/fixture';

const cli = useCli();

const found = (more: Partial<SlurmProcess>): SlurmProcess =>
  SlurmProcess.fromPartial({
    ...{ jobId: 15, name: '12_3', step: '0', task: 1, pid: 77, startTicks: 4711, uid: 2001 },
    ...{ command: './app 5', node: 'n1', ...more },
  });

const SRUN = found({
  step: 'batch',
  task: 0,
  pid: 70,
  command: 'srun ./app',
  refusal: 'srun cannot be captured',
});

function answer(
  processes: SlurmProcess[],
  track?: (request: TrackProcessRequest) => string,
): TrackProcessRequest[] {
  const asked: TrackProcessRequest[] = [];
  cli.coordinator.on({
    listSlurmTasks: () => ({ processes, silent: [{ node: 'n9', reason: 'node n9 is not connected' }] }),
    trackProcess: (request) => {
      asked.push(request);
      return { job: Job.fromPartial({ id: track?.(request) ?? 'j-1' }) };
    },
  });
  return asked;
}

test('tasks: a table, with why some cannot be tracked and who did not answer', async () => {
  answer([SRUN, found({}), found({ task: 2, pid: 78, suspended: true, job: 'j-7' })]);
  const { code, stdout, stderr } = await cli.run(['slurm', 'tasks', '12_3']);
  expect(code).toBe(0);
  expect(stdout.split('\n')).toEqual([
    'SLURM  STEP   TASK  NODE  PID   UID  STATE      CHECKPOINTS              COMMAND',
    '12_3   batch     0  n1     70  2001  running    srun cannot be captured  srun ./app',
    '12_3   0         1  n1     77  2001  running    not tracked              ./app 5',
    '12_3   0         2  n1     78  2001  suspended  j-7                      ./app 5',
    '',
  ]);
  expect(stderr).toContain('n9 may have more: node n9 is not connected');
  const json = await cli.run(['slurm', 'tasks', '12_3', '--json']);
  expect(JSON.parse(json.stdout)).toMatchObject({
    processes: [{ step: 'batch' }, { state: 'running', job: null }, { state: 'suspended', job: 'j-7' }],
  });
  expect(JSON.parse(json.stdout).silent).toEqual([{ node: 'n9', reason: 'node n9 is not connected' }]);
});

test('track: what is possible, each as it was found; the rest is said', async () => {
  const asked = answer(
    [SRUN, found({}), found({ task: 2, pid: 78, job: 'j-7' }), found({ task: 3, pid: 79 })],
    ({ pid }) => {
      if (pid === 79) throw new HoldfastError('NOT_FOUND', 'there is no process 79');
      return 'j-8';
    },
  );
  const { code, stdout, stderr } = await cli.run(['slurm', 'track', '12_3', '--every', '10m', '--keep', '3']);
  expect({ code, lines: stdout.split('\n') }).toEqual({
    code: 0,
    lines: [
      '12_3 step batch task 0 on n1 (pid 70: srun ./app): not tracked: srun cannot be captured',
      '12_3 step 0 task 1 on n1 (pid 77: ./app 5): job j-8',
      '12_3 step 0 task 2 on n1 (pid 78: ./app 5): job j-7 already',
      '12_3 step 0 task 3 on n1 (pid 79: ./app 5): not tracked: there is no process 79',
      '',
    ],
  });
  expect(stderr).toContain('they are checkpointed every 600 s as far as possible');
  expect(stderr).toContain('nothing of it is restarted by itself');
  expect(asked[0]).toMatchObject({
    ...{ node: 'n1', pid: 77, startTicks: 4711, name: 'slurm-15.0.1', intervalMs: 600_000 },
    retention: { keepLast: 3 },
  });
});

test('track: nothing that can be tracked, and nothing at all', async () => {
  answer([SRUN]);
  expect(await cli.run(['slurm', 'track', '12'])).toMatchObject({ code: 5 });
  answer([]);
  expect(await cli.run(['slurm', 'track', '12'])).toMatchObject({ code: 3 });
  expect(await cli.run(['slurm', 'track', 'twelve'])).toMatchObject({ code: 2 });
});

test('restart: the name of a task names its job, and that of a Slurm job the only one', async () => {
  const job = (id: string, name: string) => Job.fromPartial({ id, spec: { name } });
  const restarted: unknown[] = [];
  cli.coordinator.on({
    listJobs: () => ({
      jobs: [job('j-1', 'slurm-12.0.0'), job('j-2', 'slurm-12.0.1'), job('j-3', 'slurm-120.0.0')],
      untracked: [],
    }),
    getJob: ({ job: id }) => ({ job: job(id, '') }),
    restart: ({ source }) => {
      restarted.push(source?.value);
      throw new HoldfastError('NOT_FOUND', 'no checkpoint');
    },
  });
  expect(await cli.run(['restart', 'slurm-12.0.1'])).toMatchObject({ code: 3 });
  expect(await cli.run(['restart', 'slurm-120'])).toMatchObject({ code: 3 });
  expect(restarted).toEqual(['j-2', 'j-3']);
  const several = await cli.run(['restart', 'slurm-12']);
  expect(several).toMatchObject({ code: 2 });
  expect(several.stderr).toContain('j-1 (slurm-12.0.0), j-2 (slurm-12.0.1)');
  expect((await cli.run(['restart', 'slurm-1'])).stderr).toContain('no task slurm-1 was tracked');
  expect(restarted).toHaveLength(2);
});
