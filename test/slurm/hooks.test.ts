/** What Slurm runs of ours must never hurt it: whatever is down, hooks are quick, jobs run, nodes stay in service. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../e2e/survival';
import { Stack } from '../harness/stack';
import { ALICE, SlurmCluster } from './cluster';
import { installedSite } from './site';

const NODES = ['node1'];
const HOOK_LIMIT_MS = 2_000;
let stack: Stack;
let slurm: SlurmCluster;

beforeAll(async () => {
  stack = await Stack.start({ nodes: NODES, store: 'directory', coordinatorFlags: ['--slurm'] });
  const site = installedSite(stack);
  slurm = await SlurmCluster.onto(stack, { extra: site.slurmConf, plugStack: site.plugStack });
});
afterAll(() => stack?.stop());

interface Record {
  readonly jobId: number;
  readonly node: string;
  readonly user: string;
  readonly registeredMs: number | null;
  readonly endedMs: number | null;
  readonly untracked: string;
}

/** What the coordinator knows of a Slurm job, once the job's end has arrived there. */
async function recordOf(id: number, user: { uid?: number; gid?: number } = {}): Promise<Record> {
  const look = async () => {
    const { code, stdout } = await stack.holdfast('node1', ['slurm', 'jobs', '--json'], user);
    if (code === 8) return null; // its agent looks for the coordinator
    const { records } = JSON.parse(stdout) as { records: Record[] };
    return records.find(({ jobId, endedMs }) => jobId === id && endedMs !== null) ?? null;
  };
  return until(`the record of Slurm job ${id}`, look, 30_000).catch((error: Error) => {
    throw new Error(`${error.message}\n${stack.logs()}`);
  });
}

/** Runs a job; it must end well, as if there were no hooks. */
async function runs(): Promise<number> {
  const id = await slurm.submit('srun true && date +%s%3N');
  const { JobState } = await slurm.jobIn(id, ['COMPLETED', 'FAILED', 'CANCELLED', 'NODE_FAIL']);
  expect(JobState).toBe('COMPLETED');
  return id;
}

/** The hooks as Slurm runs them: without PATH, as root on the node. */
async function hookTakesMs(name: string): Promise<number> {
  const env = { PATH: undefined, SLURM_JOB_ID: '4711', SLURM_JOB_UID: String(ALICE.uid) };
  const began = Date.now();
  const { code, stdout } = await stack.node('node1').run([installedSite(stack).path(name)], { env });
  expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
  return Date.now() - began;
}

async function expectNodeInService(): Promise<void> {
  const state = await slurm.must('head', [
    'sinfo',
    '-h',
    '-N',
    '-o',
    '%N %t %E',
    '-n',
    'node1',
    '-p',
    'normal',
  ]);
  expect(state.trim()).toMatch(/^node1 (idle|comp|mix|alloc) none$/);
}

test('a job is registered by its prolog and finalized by its epilog', async () => {
  const id = await runs();
  expect(await recordOf(id, ALICE)).toMatchObject({ node: 'node1', user: 'alice', untracked: '' });
  const { stdout } = await stack.holdfast('node1', ['jobs', '--all'], ALICE);
  expect(stdout).toBe('no jobs\n');
});

test('without an agent hooks are quick, the job runs untracked, and holdfast jobs says so later', async () => {
  await stack.agents.get('node1')?.stop('SIGKILL');
  for (const name of ['prolog', 'epilog', 'task-prolog', 'task-epilog'])
    expect(await hookTakesMs(name)).toBeLessThan(HOOK_LIMIT_MS);
  const id = await runs();
  await expectNodeInService();
  await stack.startAgent('node1');
  expect((await recordOf(id, ALICE)).untracked).toBe('its prolog was not heard: no agent runs');
  const { stderr } = await stack.holdfast('node1', ['jobs'], ALICE);
  expect(stderr).toContain(`Slurm job ${id} ran untracked on node1: its prolog was not heard: no agent runs`);
});

test('with an agent that hangs hooks end in time, and the job runs', async () => {
  const agent = stack.agents.get('node1');
  agent?.pause();
  try {
    for (const name of ['prolog', 'epilog', 'task-prolog'])
      expect(await hookTakesMs(name)).toBeLessThan(HOOK_LIMIT_MS);
    const id = await runs();
    await expectNodeInService();
    agent?.resume();
    expect((await recordOf(id)).untracked).toBe('its prolog was not heard: the agent does not answer');
  } finally {
    agent?.resume();
  }
});

test('without a coordinator hooks are quick, and it is told when it is back', async () => {
  await stack.coordinator?.stop('SIGKILL');
  expect(await hookTakesMs('prolog')).toBeLessThan(HOOK_LIMIT_MS);
  const id = await runs();
  await expectNodeInService();
  await stack.startCoordinator();
  expect(await recordOf(id)).toMatchObject({ user: 'alice', untracked: '' });
});

test('--holdfast is checked when a job is submitted, and reaches the job', async () => {
  const id = await slurm.submit('srun --export=NONE /usr/bin/printenv HOLDFAST_SLURM_OPTIONS', [
    '--holdfast=keep=3,max-restarts=7',
    '--job-name=options',
  ]);
  await slurm.jobIn(id, ['COMPLETED', 'FAILED']);
  expect(readFileSync(join(slurm.home, `options-${id}.out`), 'utf8')).toBe('keep=3,max-restarts=7\n');
  for (const [options, problem] of [
    ['interval=10', 'interval=10: give a number and a unit, as in 30s, 10m, 2h, 1d, or auto'],
    ['keep=3,keep=4', 'keep is given twice'],
    ['often', "'often' is not known; known are interval=TIME, keep=N, max-restarts=N"],
  ]) {
    const refused = await slurm.alice(['sbatch', `--holdfast=${options}`, '--wrap=true']);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain(`--holdfast: ${problem}`);
  }
});

test('a node that Slurm drains is drained, and opened with it', async () => {
  const drained = async () => {
    const { nodes } = await stack.json<{ nodes: { name: string; drain: { reason: string } | null }[] }>(
      'node1',
      ['nodes'],
    );
    return nodes.find(({ name }) => name === 'node1')?.drain?.reason ?? null;
  };
  const update = (...words: string[]) =>
    slurm.must('head', ['scontrol', 'update', 'nodename=node1', ...words]);
  await update('state=drain', 'reason=bad memory');
  expect(await until('the drain', drained, 20_000)).toBe('Slurm: bad memory');
  await update('state=resume');
  await until('the end of it', async () => ((await drained()) === null ? true : null), 20_000);
});

test('holdfast slurm check finds what is set up and what is not', async () => {
  const { directory } = installedSite(stack);
  const command = ['slurm', 'check', '--to', directory];
  const { findings, usable } = await stack.json<{
    usable: boolean;
    findings: { setting: string; verdict: string; line: string }[];
  }>('head', command);
  expect(usable).toBe(true);
  expect(findings.filter(({ verdict }) => verdict !== 'ok')).toEqual([
    expect.objectContaining({ setting: 'JobFileAppend', verdict: 'advice', line: 'JobFileAppend=1' }),
  ]);
  const bare = await stack.holdfast('head', [...command, '--conf', '/dev/null']);
  expect(bare.code).toBe(2);
  expect(bare.stdout).toContain('write: ProctrackType=proctrack/cgroup');
  expect(bare.stdout).toContain(`write: Prolog=${directory}/prolog`);
});
