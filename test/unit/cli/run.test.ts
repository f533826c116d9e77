/** `holdfast run` from the submission to the exit code. */

import { appendFileSync, existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HoldfastError } from '../../../core/errors';
import { JobState } from '../../../proto/gen/holdfast/v1/coordinator';
import { type JobSpec, RestartPolicy } from '../../../proto/gen/holdfast/v1/manifest';
import type { Handlers, WatchStream } from './support/coordinator';
import { useCli } from './support/fixture';
import { committed, JOB_ID, job, node } from './support/messages';

const cli = useCli();

/** A job that a test moves on by hand. */
function fakeJob(more: Handlers = {}) {
  let current = job({ state: JobState.STARTING });
  let spec: JobSpec | undefined;
  const streams: WatchStream[] = [];
  let opened: () => void = () => undefined;
  const watched = new Promise<void>((resolve) => {
    opened = resolve;
  });
  cli.coordinator.on({
    submitJob: (request) => {
      spec = request.spec;
      current = job({ state: JobState.STARTING, spec });
      return { job: current, operation: '', completedEarlier: false };
    },
    getJob: () => ({ job: current }),
    watch: (_subject, stream) => {
      streams.push(stream);
      opened();
    },
    ...more,
  });
  return {
    watched,
    streams,
    spec: () => {
      if (!spec) throw new Error('nothing was submitted');
      return spec;
    },
    become: (changes: Parameters<typeof job>[0]) => {
      current = job({ spec, ...changes });
      for (const stream of streams) stream.send({ $case: 'job', value: current });
    },
  };
}

test.each([
  [['--every', 'auto'], { adaptive: true, intervalMs: 0, restartPolicy: 'RESTART_POLICY_ANY_NODES' }],
  [
    ['--cron', '0 */2 * * *', '--time-zone', 'Europe/Berlin'],
    { cron: '0 */2 * * *', timeZone: 'Europe/Berlin' },
  ],
  [['--walltime', '2h'], { walltimeMs: 7_200_000, restartPolicy: 'RESTART_POLICY_ANY_NODES' }],
  [['--deadline', '1900000000', '--restart', 'same'], { deadlineMs: 1_900_000_000_000 }],
  [['--every', '1m', '--restart-backoff', '5s'], { intervalMs: 60_000, restartBackoffMs: 5000 }],
])('the submission carries the schedule: %j', async (options, expected) => {
  const fake = fakeJob();
  expect(await cli.run(['run', ...options, '--detach', '--', 'prog'])).toMatchObject({ code: 0 });
  expect(fake.spec()).toMatchObject(expected);
});

test.each([
  [['--every', '1m', '--cron', '@daily'], '--every and --cron were both given'],
  [['--walltime', '1m', '--deadline', '1900000000'], '--deadline and --walltime were both given'],
  [['--deadline', 'tomorrow'], '--deadline: "tomorrow" is not a moment'],
])('a schedule is refused: %j', async (options, message) => {
  const result = await cli.run(['run', ...options, '--detach', '--', 'prog']);
  expect(result).toMatchObject({ code: 2, stderr: expect.stringContaining(message) });
});

test('the submission carries command, environment, directory and identity', async () => {
  const fake = fakeJob();
  const words = [
    'run',
    '--name',
    'sim',
    '--nodes',
    'n1,n2',
    '--every',
    '10m',
    '--detach',
    '--',
    'prog',
    '--flag',
    'a b',
  ];
  const result = await cli.run(words, { MARK: 'here=there' });
  expect(result).toEqual({ code: 0, signal: null, stdout: `${JOB_ID}\n`, stderr: '' });
  const spec = fake.spec();
  expect(spec).toMatchObject({
    argv: ['prog', '--flag', 'a b'],
    workingDirectory: cli.cwd,
    uid: process.getuid?.(),
    gid: process.getgid?.(),
    nodes: ['n1', 'n2'],
    intervalMs: 600_000,
    restartPolicy: RestartPolicy.ANY_NODES,
    maxRestarts: 0,
    name: 'sim',
  });
  expect(spec.environment).toMatchObject({ MARK: 'here=there' });
  expect(readdirSync(cli.cwd).map((name) => join(cli.cwd, name))).toEqual([spec.outputPath]);
  expect(spec.outputPath).toMatch(/\/holdfast-sim-\d{8}T\d{6}-\d+\.out$/);
});

test.each([
  [[], RestartPolicy.NEVER, 0],
  [['--every', '1m'], RestartPolicy.ANY_NODES, 0],
  [['--every', '1m', '--restart', 'same', '--max-restarts', '7'], RestartPolicy.SAME_NODES, 7],
  [['--every', '1m', '--max-restarts', '0'], RestartPolicy.NEVER, 0],
  [['--restart', 'any'], RestartPolicy.ANY_NODES, 0],
])('restart policy of %j', async (options, policy, maxRestarts) => {
  const fake = fakeJob();
  await cli.run(['run', '--detach', ...options, 'true']);
  expect(fake.spec()).toMatchObject({ restartPolicy: policy, maxRestarts });
});

test('--detach --json names the job', async () => {
  fakeJob();
  const { stdout } = await cli.run(['run', '--detach', '--json', '--output', 'o', 'true']);
  expect(JSON.parse(stdout).job).toMatchObject({
    id: JOB_ID,
    state: 'STARTING',
    outputPath: join(cli.cwd, 'o'),
  });
});

test('attached: output on stdout, turns on stderr, the exit code of the job', async () => {
  const fake = fakeJob();
  const running = cli.start(['run', '--output', 'out', '--', 'prog', 'x']);
  await fake.watched;
  fake.become({ state: JobState.RUNNING });
  appendFileSync(join(cli.cwd, 'out'), 'first\n');
  await running.seen('stdout', 'first\n');
  fake.streams[0]?.send({ $case: 'operation', value: committed() });
  await running.seen('stderr', 'checkpoint 17');
  appendFileSync(join(cli.cwd, 'out'), 'lost\n');
  await running.seen('stdout', 'lost\n');
  fake.streams[0]?.send({ $case: 'node', value: node({ alive: false }) });
  fake.become({ state: JobState.RESTARTING, reason: 'node n1 is lost' });
  await running.seen('stderr', 'restarts from its last checkpoint');
  truncateSync(join(cli.cwd, 'out'), 6);
  await running.seen('stderr', 'rolled back');
  fake.become({ state: JobState.RUNNING, incarnation: 2 });
  appendFileSync(join(cli.cwd, 'out'), 'lost again\nlast\n');
  fake.become({ state: JobState.FAILED, incarnation: 2, exitCode: 139, reason: 'signal 11' });
  const result = await running.result;
  expect(result.code).toBe(139);
  expect(result.stdout).toBe('first\nlost\nlost again\nlast\n');
  expect(result.stderr.split('\n')).toEqual([
    `holdfast: job ${JOB_ID} submitted, output in ${join(cli.cwd, 'out')}`,
    `holdfast: job ${JOB_ID} runs on n1, n2`,
    expect.stringMatching(/^holdfast: checkpoint 17 of job .* committed \(generation 3\)/),
    'holdfast: node n1 is lost',
    `holdfast: job ${JOB_ID} restarts from its last checkpoint: node n1 is lost`,
    'holdfast: output was rolled back from 11 B to 6 B with the job; what follows may repeat',
    `holdfast: job ${JOB_ID} runs on n1, n2 (incarnation 2)`,
    `holdfast: job ${JOB_ID} failed with exit code 139: signal 11`,
    '',
  ]);
});

test('what an output file held before is not shown', async () => {
  const fake = fakeJob();
  writeFileSync(join(cli.cwd, 'out'), 'old\n');
  const running = cli.start(['run', '--output', 'out', 'prog']);
  await fake.watched;
  appendFileSync(join(cli.cwd, 'out'), 'new\n');
  fake.become({ state: JobState.COMPLETED, exitCode: 0 });
  expect(await running.result).toMatchObject({ code: 0, stdout: 'new\n' });
  expect(readFileSync(join(cli.cwd, 'out'), 'utf8')).toBe('old\nnew\n');
});

test('a job that ended before anybody watched is not waited for', async () => {
  const fake = fakeJob({ getJob: () => ({ job: job({ state: JobState.COMPLETED, exitCode: 0 }) }) });
  const result = await cli.run(['run', '--output', 'out', 'prog']);
  await fake.watched;
  expect(result.code).toBe(0);
});

test('a broken stream is opened again, once with a note', async () => {
  const fake = fakeJob();
  const running = cli.start(['run', '--output', 'out', 'prog']);
  await fake.watched;
  fake.streams[0]?.fail(new HoldfastError('COORDINATOR_UNAVAILABLE', 'the coordinator went away'));
  await running.seen('stderr', 'connection lost (the coordinator went away)');
  fake.become({ state: JobState.COMPLETED, exitCode: 0 });
  expect(await running.result).toMatchObject({ code: 0 });
});

test('a job that nobody knows any more is an error', async () => {
  const fake = fakeJob({
    getJob: () => {
      throw new HoldfastError('NOT_FOUND', `job ${JOB_ID} does not exist`);
    },
  });
  const result = await cli.run(['run', '--output', 'out', 'prog']);
  await fake.watched;
  expect(result.code).toBe(3);
});

test.each([
  [
    { state: JobState.STOPPED, lastGeneration: 4 },
    13,
    /ABORTED: .*generation 4.*\n {2}remedy: .*holdfast restart/,
  ],
  [{ state: JobState.LOST, reason: 'node n1 is gone' }, 8, /NODE_LOST: .*node n1 is gone/],
  [{ state: JobState.FAILED, reason: 'no such program' }, 1, /failed: no such program/],
])('an end without an exit code: %j', async (changes, code, message) => {
  const fake = fakeJob();
  const running = cli.start(['run', '--output', 'out', 'prog']);
  await fake.watched;
  fake.become(changes);
  const result = await running.result;
  expect(result.code).toBe(code);
  expect(result.stderr).toMatch(message);
});

test('SIGINT and SIGTERM go to the job; a second one is SIGKILL, the third leaves', async () => {
  const sent: number[] = [];
  const fake = fakeJob({
    killJob: (request) => {
      sent.push(request.signal);
      return {};
    },
  });
  const running = cli.start(['run', '--output', 'out', 'prog']);
  await fake.watched;
  running.child.kill('SIGTERM');
  await running.seen('stderr', `sending signal 15 to job ${JOB_ID}`);
  running.child.kill('SIGINT');
  await running.seen('stderr', `sending signal 9 to job ${JOB_ID}`);
  running.child.kill('SIGINT');
  expect((await running.result).code).toBe(130);
  expect(sent).toEqual([15, 9]);
});

test('a signal that comes before the job is known is not lost', async () => {
  let submit: () => void = () => undefined;
  const accepted = new Promise<void>((resolve) => {
    submit = resolve;
  });
  let asked: () => void = () => undefined;
  const called = new Promise<void>((resolve) => {
    asked = resolve;
  });
  const killed: number[] = [];
  const fake = fakeJob({
    submitJob: async () => {
      asked();
      await accepted;
      return { job: job(), operation: '', completedEarlier: false };
    },
    killJob: (request) => {
      killed.push(request.signal);
      fake.become({ state: JobState.FAILED, exitCode: 143 });
      return {};
    },
  });
  const running = cli.start(['run', '--output', 'out', 'prog']);
  await called;
  running.child.kill('SIGTERM');
  submit();
  expect((await running.result).code).toBe(143);
  expect(killed).toEqual([15]);
});

test('--json: one line per event', async () => {
  const fake = fakeJob();
  const running = cli.start(['run', '--json', '--output', 'out', 'prog']);
  await fake.watched;
  appendFileSync(join(cli.cwd, 'out'), 'grüße\n');
  await running.seen('stdout', 'grüße');
  truncateSync(join(cli.cwd, 'out'), 0);
  await running.seen('stdout', 'rolledBack');
  fake.streams[0]?.send({ $case: 'operation', value: committed() });
  fake.become({ state: JobState.COMPLETED, exitCode: 0 });
  const { stdout, stderr, code } = await running.result;
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .filter((line) => line.event !== 'note');
  expect(lines).toEqual([
    { event: 'submitted', job: expect.objectContaining({ id: JOB_ID }) },
    { event: 'output', offset: 0, text: 'grüße\n' },
    { event: 'rolledBack', fromBytes: 8, toBytes: 0 },
    { event: 'operation', operation: expect.objectContaining({ phase: 'DONE', ckptId: 17 }) },
    { event: 'job', job: expect.objectContaining({ state: 'COMPLETED' }) },
    { event: 'ended', job: expect.objectContaining({ state: 'COMPLETED', exitCode: 0 }) },
  ]);
});

test('nothing is submitted, and no file left behind, when nobody listens', async () => {
  const result = await cli.run(['run', 'prog'], { HOLDFAST_SOCKET: '/nonexistent' });
  expect(result.code).toBe(8);
  expect(readdirSync(cli.cwd)).toEqual([]);
  expect(existsSync('/nonexistent')).toBe(false);
});
