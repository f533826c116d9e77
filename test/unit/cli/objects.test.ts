/** Subcommands that ask once and print: lists, info, kill, catalog, errors. */

import { HoldfastError } from '../../../core/errors';
import { JobState, SlurmRecord } from '../../../proto/gen/holdfast/v1/coordinator';
import type { JobSpec } from '../../../proto/gen/holdfast/v1/manifest';
import { useCli } from './support/fixture';
import { JOB_ID, job, manifest, node, summary } from './support/messages';

const cli = useCli();

const UNTRACKED = SlurmRecord.fromPartial({ jobId: 12, node: 'n1', untracked: 'why not' });

const notFound = (what: string) => {
  throw new HoldfastError('NOT_FOUND', `${what} does not exist`, 'look again');
};

test('jobs: a table, or JSON with every field', async () => {
  const asked: boolean[] = [];
  cli.coordinator.on({
    listJobs: ({ all }) => {
      asked.push(all);
      const failed = job({ id: 'j-2', state: JobState.FAILED, exitCode: 139, lastGeneration: 0 });
      return { jobs: [job(), failed], untracked: all ? [UNTRACKED] : [] };
    },
  });
  const table = await cli.run(['jobs']);
  expect(table.stderr).toBe('');
  const [titles, first, second] = table.stdout.split('\n');
  expect(titles).toMatch(/^JOB +NAME +UID +STATE +NODES +GEN/);
  expect(first).toMatch(
    new RegExp(`^${JOB_ID} +simulate +1000 +RUNNING +n1,n2 +2 +0 +.* ./simulate --title 'two words'$`),
  );
  expect(second).toMatch(/FAILED .* - .*exit 139/);

  const json = await cli.run(['jobs', '--all', '--json']);
  expect(asked).toEqual([false, true]);
  const { jobs, untracked } = JSON.parse(json.stdout);
  expect(untracked).toMatchObject([{ jobId: 12, node: 'n1', untracked: 'why not', registeredMs: null }]);
  expect((await cli.run(['jobs', '--all'])).stderr).toBe(
    'holdfast: Slurm job 12 ran untracked on n1: why not\n',
  );
  asked.pop();
  expect(jobs[0]).toEqual({
    id: JOB_ID,
    name: 'simulate',
    state: 'RUNNING',
    reason: '',
    filling: [],
    exitCode: null,
    uid: 1000,
    command: ['./simulate', '--title', 'two words'],
    workingDirectory: '/shared/run',
    outputPath: '/shared/run/out',
    intervalMs: 600_000,
    cron: '',
    timeZone: '',
    adaptive: false,
    deadlineMs: 0,
    schedule: null,
    decisions: [],
    restartPolicy: 'ANY_NODES',
    maxRestarts: 3,
    retention: null,
    nodes: ['n1', 'n2'],
    trees: [
      { treeId: 'm1', node: 'n2', rootPid: 22, main: false },
      { treeId: 'main', node: 'n1', rootPid: 11, main: true },
    ],
    incarnation: 1,
    restartBackoffMs: 0,
    restartCount: 0,
    restartsSinceCommit: 0,
    lastGeneration: 2,
    slurm: null,
    stopCause: '',
    tracked: false,
    createdMs: 1_700_000_000_000,
    endedMs: 0,
  });
  expect(jobs[1]).toMatchObject({ state: 'FAILED', exitCode: 139 });
});

test('checkpoints, of all jobs or one', async () => {
  const asked: string[] = [];
  cli.coordinator.on({
    listCheckpoints: (request) => {
      asked.push(request.job);
      return { checkpoints: [summary] };
    },
  });
  const table = await cli.run(['checkpoints']);
  expect(table.stdout).toMatch(
    new RegExp(`17  ${JOB_ID} +3 .* n1,n2 +6 +150 MiB +1.5 KiB +85 ms +good +1.2 s +-\n$`),
  );
  const json = await cli.run(['checkpoints', JOB_ID, '--json']);
  expect(JSON.parse(json.stdout)).toEqual({ checkpoints: [summary] });
  expect(asked).toEqual(['', JOB_ID]);
});

test('nodes', async () => {
  cli.coordinator.on({ listNodes: () => ({ nodes: [node(), node({ name: 'n2', alive: false })] }) });
  const table = await cli.run(['nodes']);
  expect(table.stdout).toMatch(/n1 +up .*10.0.0.1,10.1.0.1 +x64 +6.18.0 +4.2 +8.0 GiB/);
  expect(table.stdout).toMatch(/n2 +LOST/);
  const { nodes } = JSON.parse((await cli.run(['nodes', '--json'])).stdout);
  expect(nodes[1]).toEqual({
    name: 'n2',
    alive: false,
    lastSeenMs: 1_700_000_000_000,
    version: '0.1.0',
    hostname: 'node-one',
    addresses: ['10.0.0.1', '10.1.0.1'],
    architecture: 'x64',
    kernelRelease: '6.18.0',
    criuVersion: '4.2',
    memoryBytes: 8 * 1024 ** 3,
    cpuFlags: ['avx2'],
    drain: null,
  });
});

test('empty lists are told in words', async () => {
  cli.coordinator.on({
    listJobs: () => ({ jobs: [], untracked: [] }),
    listNodes: () => ({ nodes: [] }),
    listCheckpoints: () => ({ checkpoints: [] }),
  });
  expect((await cli.run(['jobs'])).stdout).toBe('no jobs\n');
  expect((await cli.run(['nodes'])).stdout).toBe('no nodes have registered\n');
  expect((await cli.run(['checkpoints'])).stdout).toBe('no checkpoints\n');
});

test('info: a checkpoint with its nodes, trees, tasks and files', async () => {
  const whole = manifest('/shared/run/out', 100);
  cli.coordinator.on({ getCheckpoint: () => ({ manifest: whole, summary }) });
  const { stdout, code } = await cli.run(['info', '17']);
  expect(code).toBe(0);
  for (const part of [
    /checkpoint: +17/,
    /held: +85 ms/,
    /Node n1/,
    /tree: +main \(main\)/,
    /memory: +150 MiB captured in 40 chunks, 1.5 KiB stored/,
    / 2 +1 +9 +simulate/,
    /100 B +append +\/shared\/run\/out/,
    /4.0 KiB +read +\/shared\/input.dat/,
  ]) {
    expect(stdout).toMatch(part);
  }
  const json = JSON.parse((await cli.run(['info', '17', '--json'])).stdout);
  expect(json.checkpoint).toEqual(summary);
  expect(json.manifest).toMatchObject({ format: 'holdfast-manifest', header: { job: JOB_ID } });
});

test('info: the next checkpoint of a job, what was decided about it, and why', async () => {
  const reason = 'interval 412 s: cost 1.8 s, MTBF 13.1 h from 4 failures in 52.4 h';
  const schedule = { dueMs: 1_700_000_400_000, startMs: 1_700_000_412_000, kind: 'auto', reason };
  const decisions = [{ timeMs: 1_700_000_000_000, subject: 'quarantine', reason: 'generation 2: CORRUPT' }];
  const adaptive = { ...job().spec, adaptive: true, intervalMs: 0 } as JobSpec;
  const known = job({ spec: adaptive, schedule, decisions, deadlineMs: 1_700_003_600_000 });
  cli.coordinator.on({ getJob: () => ({ job: known }) });
  const { stdout } = await cli.run(['info', JOB_ID]);
  expect(stdout).toMatch(/checkpoints: +as often as cost and failures suggest\n/);
  expect(stdout).toContain(`2023-11-14T22:20:12.000Z (${reason})\n`);
  expect(stdout).toMatch(/deadline: +2023-11-14T23:13:20.000Z\n/);
  expect(stdout).toMatch(/2023-11-14T22:13:20.000Z +quarantine +generation 2: CORRUPT\n/);
  const json = JSON.parse((await cli.run(['info', JOB_ID, '--json'])).stdout).job;
  expect(json).toMatchObject({ adaptive: true, schedule, decisions, deadlineMs: 1_700_003_600_000 });
});

test('drain and undrain', async () => {
  const asked: unknown[] = [];
  const drain = { sinceMs: 1_700_000_000_000, reason: 'fan', restart: true };
  cli.coordinator.on({
    drain: (request) => {
      asked.push({ ...request });
      return { operations: ['o-1', 'o-2'] };
    },
    undrain: ({ node: name }) => {
      asked.push(name);
      return {};
    },
    getJob: (request) => notFound(request.job),
    listNodes: () => ({ nodes: [node({ drain })] }),
  });
  const result = await cli.run(['drain', 'n1', '--reason', 'fan', '--restart']);
  expect(result).toMatchObject({ code: 0, stdout: 'o-1\no-2\n' });
  expect(result.stderr).toContain('node n1 is drained; 2 checkpoints begun');
  expect((await cli.run(['undrain', 'n1'])).code).toBe(0);
  expect(asked).toEqual([expect.objectContaining({ node: 'n1', reason: 'fan', restart: true }), 'n1']);
  expect((await cli.run(['nodes'])).stdout).toMatch(/n1 +drained/);
  expect((await cli.run(['info', 'n1'])).stdout).toMatch(/drained: +since 2023-11-14T22:13:20.000Z fan\n/);
  expect(JSON.parse((await cli.run(['nodes', '--json'])).stdout).nodes[0].drain).toEqual(drain);
});

test('info: a job, a node, or neither', async () => {
  cli.coordinator.on({
    getJob: (request) => (request.job === JOB_ID ? { job: job() } : notFound(request.job)),
    listNodes: () => ({ nodes: [node()] }),
  });
  const found = await cli.run(['info', JOB_ID]);
  expect(found.stdout).toMatch(/state: +RUNNING\n/);
  expect(found.stdout).toMatch(/checkpoints: +every 10m 0s\n/);
  expect(found.stdout).toMatch(/main +n1 +11\n/);
  expect((await cli.run(['info', 'n1'])).stdout).toMatch(/host name: +node-one\n/);
  expect(JSON.parse((await cli.run(['info', 'n1', '--json'])).stdout).node.name).toBe('n1');
  const neither = await cli.run(['info', 'nobody']);
  expect(neither.code).toBe(3);
  expect(neither.stderr).toMatch(/^holdfast: NOT_FOUND: no job or node is called nobody\n {2}remedy: see /);
});

test('kill sends the signal asked for', async () => {
  const sent: unknown[] = [];
  cli.coordinator.on({
    killJob: (request) => {
      sent.push([request.job, request.signal]);
      return {};
    },
  });
  expect((await cli.run(['kill', JOB_ID])).code).toBe(0);
  const json = await cli.run(['kill', JOB_ID, '--signal', 'SIGUSR1', '--json']);
  expect(JSON.parse(json.stdout)).toEqual({ job: JOB_ID, signal: 10 });
  expect(sent).toEqual([
    [JOB_ID, 15],
    [JOB_ID, 10],
  ]);
});

test('catalog rebuild', async () => {
  cli.coordinator.on({ rebuildCatalog: () => ({ jobs: 1, checkpoints: 12 }) });
  expect((await cli.run(['catalog', 'rebuild'])).stdout).toBe('the catalog has 12 checkpoints of 1 job\n');
  expect(JSON.parse((await cli.run(['catalog', 'rebuild', '--json'])).stdout)).toEqual({
    jobs: 1,
    checkpoints: 12,
  });
});

test.each([
  ['PERMISSION_DENIED', 4],
  ['WRONG_STATE', 5],
  ['INTERNAL', 70],
] as const)('an error %s keeps its code, words and exit code %d over the wire', async (code, exitCode) => {
  cli.coordinator.on({
    listJobs: () => {
      throw new HoldfastError(code, 'cause \u001b[31m', 'rémède');
    },
  });
  const plain = await cli.run(['jobs']);
  expect(plain).toMatchObject({
    code: exitCode,
    stdout: '',
    stderr: `holdfast: ${code}: cause ?[31m\n  remedy: rémède\n`,
  });
  const json = await cli.run(['jobs', '--json']);
  expect(json.code).toBe(exitCode);
  expect(JSON.parse(json.stderr).error).toMatchObject({ code, remedy: 'rémède' });
});

test('a socket that nobody listens on', async () => {
  const result = await cli.run(['jobs', '--socket', '/nonexistent/agent.sock']);
  expect(result.code).toBe(8);
  expect(result.stderr).toMatch(
    /^holdfast: COORDINATOR_UNAVAILABLE: nothing listens on \/nonexistent\/agent.sock\n {2}remedy: .*HOLDFAST_SOCKET/,
  );
});

test('--socket wins over HOLDFAST_SOCKET', async () => {
  cli.coordinator.on({ listJobs: () => ({ jobs: [], untracked: [] }) });
  const { socketPath } = cli.coordinator;
  const result = await cli.run(['jobs', '--socket', socketPath], { HOLDFAST_SOCKET: '/nonexistent' });
  expect(result.stdout).toBe('no jobs\n');
});
