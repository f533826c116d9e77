/** What Slurm runs of ours must never hurt it: whatever is down, hooks are quick, jobs run, nodes stay in service. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../e2e/survival';
import { HEAD, Stack } from '../harness/stack';
import { ALICE, SlurmCluster } from './cluster';
import { installedSite } from './site';

const NODES = ['node1'];
const OF_NODE = ['prolog', 'epilog', 'task-prolog', 'task-epilog'];
const OF_CONTROLLER = ['prolog-slurmctld', 'epilog-slurmctld'];
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
  readonly nodeList: string;
  readonly registeredMs: number | null;
  readonly endedMs: number | null;
  readonly untracked: string;
}

/** What the coordinator knows of a Slurm job on its node, or as a whole, once the job's end has arrived there. */
async function recordOf(
  id: number,
  user: { uid?: number; gid?: number } = {},
  of: 'node1' | '' = 'node1',
): Promise<Record> {
  const look = async () => {
    const { code, stdout } = await stack.holdfast('node1', ['slurm', 'jobs', '--json'], user);
    if (code === 8) return null; // its agent looks for the coordinator
    const { records } = JSON.parse(stdout) as { records: Record[] };
    return records.find(({ jobId, node, endedMs }) => jobId === id && node === of && endedMs) ?? null;
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

/** The hooks as Slurm runs them, without PATH: all of them are quick, say nothing and exit with 0. */
async function expectQuick(
  names: readonly string[],
  user: { uid?: number; gid?: number } = {},
): Promise<void> {
  for (const name of names) {
    const node = OF_CONTROLLER.includes(name) ? HEAD : 'node1';
    const env = { PATH: undefined, SLURM_JOB_ID: '4711', SLURM_JOB_UID: String(ALICE.uid) };
    const began = Date.now();
    const { code, stdout } = await stack.node(node).run([installedSite(stack).path(name)], { env, ...user });
    expect({ name, code, stdout }).toEqual({ name, code: 0, stdout: '' });
    expect(Date.now() - began).toBeLessThan(HOOK_LIMIT_MS);
  }
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
  expect(await recordOf(id, ALICE, '')).toMatchObject({
    ...{ user: 'alice', nodeList: 'node1', registeredMs: expect.any(Number) },
  });
  const { stdout } = await stack.holdfast('node1', ['jobs', '--all'], ALICE);
  expect(stdout).toBe('no jobs\n');
});

test('without an agent hooks are quick, the job runs untracked, and holdfast jobs says so later', async () => {
  await stack.agents.get('node1')?.stop('SIGKILL');
  await expectQuick(OF_NODE);
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
    await expectQuick(['prolog', 'epilog', 'task-prolog']);
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
  await expectQuick(['prolog', ...OF_CONTROLLER]);
  const id = await runs();
  await expectNodeInService();
  await stack.startCoordinator();
  expect(await recordOf(id)).toMatchObject({ user: 'alice', untracked: '' });
});

test('with a coordinator that hangs hooks end in time, and the job runs', async () => {
  stack.coordinator?.pause();
  try {
    await expectQuick(['prolog', ...OF_CONTROLLER]);
    await runs();
    await expectNodeInService();
  } finally {
    stack.coordinator?.resume();
  }
});

test("only Slurm's own user speaks for the controller", async () => {
  const known = async () => {
    const { records } = await stack.json<{ records: Record[] }>('node1', ['slurm', 'jobs']);
    return records.filter(({ jobId, node }) => jobId === 4711 && node === '').length;
  };
  const before = await known();
  await expectQuick(OF_CONTROLLER, ALICE);
  expect(await known()).toBe(before);
  await expectQuick(OF_CONTROLLER);
  await until("root's word", async () => ((await known()) > 0 ? true : null), 5_000);
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
  const update = async (...words: string[]) => {
    await slurm.must('head', ['scontrol', 'update', 'nodename=node1', ...words]);
    // The coordinator asks at once, as after any job.
    await expectQuick(['epilog-slurmctld']);
  };
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
  const missing = await stack.holdfast('head', ['slurm', 'check', '--conf', '/no/slurm.conf']);
  expect(missing.code).toBe(2);
  expect(missing.stderr).toContain(
    "Slurm's configuration /no/slurm.conf cannot be read: there is no such file",
  );
});

test('holdfast slurm install puts everything there, and prints lines that are the ones check wants', async () => {
  const to = join(stack.shared, 'installed');
  const installed = await stack.holdfast('head', ['slurm', 'install', '--to', to]);
  expect(installed.code).toBe(0);
  const [conf = '', plugStack = ''] = installed.stdout.split('# plugstack.conf\n');
  writeFileSync(join(stack.shared, 'plugstack.conf'), plugStack);
  const good = [
    'ProctrackType=proctrack/cgroup',
    'TaskPlugin=task/cgroup',
    'SlurmdTimeout=60',
    'JobFileAppend=1',
  ];
  const lines = [...good, `PlugStackConfig=${stack.shared}/plugstack.conf`, conf];
  writeFileSync(join(stack.shared, 'slurm.conf'), lines.join('\n'));
  const check = ['slurm', 'check', '--to', to, '--conf', join(stack.shared, 'slurm.conf')];
  const { findings } = await stack.json<{ findings: { verdict: string }[] }>('head', check);
  expect(findings.filter(({ verdict }) => verdict !== 'ok')).toEqual([]);
});
