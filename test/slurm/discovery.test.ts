/**
 * Jobs that run without Holdfast: their tasks are found on all nodes, tracked as far as possible, and what is not is said. All jobs run at
 * the same time, each on nodes where it does not meet the one that is suspended.
 */
import { join } from 'node:path';
import { parseSelection } from '../../core/slurm/selection';
import type { SlurmProcess } from '../../proto/gen/holdfast/v1/agent';
import { Brake, goesOn, lines, linesAtLeast, undisturbed, until } from '../e2e/survival';
import { HEAD, readText, Stack } from '../harness/stack';
import { compileVictim } from '../harness/victims';
import type { RunResult } from '../nodes/run';
import { ALICE, SlurmCluster } from './cluster';
import { Script } from './script';
import { installedSite } from './site';

const NODES = ['node1', 'node2', 'node3'];
const OTHER = { uid: 65534, gid: 65534 };
let stack: Stack;
let slurm: SlurmCluster;
let several: Script;
let auto: Script;
let het: Script;
let array: Script;
const pty = { copy: '', ended: Promise.resolve<RunResult | null>(null), release: () => {} };
/** What every program prints when nothing happens to it. */
let expected: string;

const series = (exitCode = '0'): string[] => [
  compileVictim('series', stack.shared),
  // Minutes with the brake on, a second without it.
  ...['1', '10000', '50', '1', exitCode],
];

beforeAll(async () => {
  stack = await Stack.start({ nodes: NODES, store: 'directory' });
  const site = installedSite(stack);
  // A site that has no TaskProlog.
  const extra = site.slurmConf.filter((line) => !line.startsWith('Task'));
  slurm = await SlurmCluster.onto(stack, { extra, plugStack: site.plugStack });
  const program = series().join(' ');
  const on = (node: string) => `--nodelist=${node}`;
  const submit = (name: string, body: string, flags: readonly string[]) =>
    Script.submit(stack, slurm, name, body, flags);

  const step = (node: string) => `srun --exact -N1 -n1 -w ${node} ${series('5').join(' ')} > ${node}.steps &`;
  const steps = [step('node1'), step('node2'), 'wait'].join('\n');
  several = await submit('several', steps, [on('node1,node2'), '--ntasks=2']);
  const both = `srun ${program} > step.auto &\n${program} > script.auto\nwait`;
  auto = await submit('auto', both, ['--holdfast=interval=1s,keep=2', on('node2')]);
  const shape = [on('node1'), '--ntasks=1', ':', on('node3'), '--ntasks=1'];
  het = await submit('het', `srun --het-group=0,1 ${program}`, shape);
  const files = ['--array=0-1', '--output=array.%a', '--error=array.%a.err', '--open-mode=append'];
  array = await submit('array', `holdfast run --walltime 15s -- ${program}`, [...files, on('node3')]);
  pty.copy = join(slurm.home, 'pty.copy');
  const brake = new Brake(stack, 'pty');
  pty.release = () => brake.release();
  const line = `srun --pty --job-name=pty ${on('node3')} ${program}`;
  const command = ['script', '--quiet', '--flush', '--command', line, pty.copy];
  pty.ended = slurm.alice(command, { env: brake.environment, timeoutMs: 300_000 });
  expected = (await undisturbed(stack, 'node2', series())).stdout;
});
afterAll(() => stack?.stop());

interface Found {
  readonly name: string;
  readonly jobId: number;
  readonly step: string;
  readonly task: number;
  readonly node: string;
  readonly pid: number;
  readonly state: string;
  readonly job: string | null;
  readonly refusal: string | null;
  readonly command: string;
}
interface TrackedTask extends Found {
  readonly outcome: string;
}

async function found(job: number | string, user = ALICE as { uid: number; gid: number }): Promise<Found[]> {
  const command = ['slurm', 'tasks', String(job), '--json'];
  const { code, stdout, stderr } = await stack.holdfast('node2', command, user);
  if (code !== 0) throw new Error(stderr);
  return (JSON.parse(stdout) as { processes: Found[] }).processes;
}

/** The tasks that can be tracked, once there are so many. Asked as root, without a new process each time. */
const trackable = (job: number | string, count: number): Promise<SlurmProcess[]> => {
  let seen: readonly SlurmProcess[] = [];
  const look = async () => {
    const selection = parseSelection(String(job));
    seen = (await (await stack.connection('node2')).call('listSlurmTasks', { selection })).processes;
    const tasks = seen.filter(({ refusal, command }) => refusal === '' && command.includes('series'));
    return tasks.length === count ? tasks : null;
  };
  return until(`${count} tasks of Slurm job ${job}`, look).catch((error: Error) => {
    throw new Error(`${error.message}\n${JSON.stringify(seen)}\n${stack.logs(20)}`);
  });
};

async function track(
  job: number | string,
  flags: string[] = [],
): Promise<{ tasks: TrackedTask[]; said: string }> {
  const result = await stack.holdfast('node2', ['slurm', 'track', String(job), '--json', ...flags], ALICE);
  if (result.code !== 0) throw new Error(`${result.stderr}\n${stack.logs(20)}`);
  return { ...(JSON.parse(result.stdout) as { tasks: TrackedTask[] }), said: result.stderr };
}

const checkpoint = (job: string) => stack.holdfast('node2', ['checkpoint', job], ALICE);

/** Outside of Slurm: what it printed from its checkpoint on. */
async function restarted(subject: string, name: string, exitCode = 0): Promise<string> {
  const output = join(slurm.home, `${name}.out`);
  const command = ['restart', subject, '--nodes', 'node2', '--output', output];
  const { code, stderr } = await stack.holdfast('node2', command, ALICE);
  if (code !== exitCode) throw new Error(`${code}: ${stderr}\n${stack.logs()}`);
  const rest = readText(output);
  expect(rest.length).toBeGreaterThan(1000);
  return rest;
}

const onlyTracked = (tasks: readonly TrackedTask[]): TrackedTask[] =>
  tasks.filter(({ outcome }) => outcome === 'tracked');

test('several steps on several nodes are found, and tracked once', async () => {
  const tasks = await trackable(several.id, 2);
  expect(tasks.map(({ node }) => node).sort()).toEqual(['node1', 'node2']);
  expect(tasks.map(({ step }) => step).sort()).toEqual(['0', '1']);
  const all = await found(several.id);
  expect(all.filter(({ step }) => step === 'batch').map(({ refusal }) => refusal)).toEqual(
    Array(2).fill('srun cannot be captured: its tasks are found by themselves'),
  );
  expect(await found(several.id, OTHER)).toEqual([]);
  await Promise.all(['node1', 'node2'].map((node) => linesAtLeast(join(slurm.home, `${node}.steps`), 10)));
  const { tasks: tracked, said } = await track(several.id, ['--keep', '2']);
  expect(said).toContain('nothing of it is restarted by itself');
  const outcomes = (of: TrackedTask[]) => of.map(({ outcome }) => outcome).sort();
  expect(outcomes(tracked)).toEqual(['refused', 'refused', 'tracked', 'tracked']);
  expect(outcomes((await track(several.id)).tasks)).toEqual(['already', 'already', 'refused', 'refused']);
});

test('each task of an array goes on by itself, the last one with the number of all of them, too', async () => {
  const runs = async (): Promise<{ state: string; restarts: number }[]> => {
    const { stdout } = await slurm.alice(['scontrol', 'show', 'job', '-o', String(array.id)]);
    const all = [...stdout.matchAll(/ArrayTaskId=[01] .*? JobState=(\w+) .*?Restarts=(\d+)/g)];
    return all.map(([, state = '', restarts]) => ({ state, restarts: Number(restarts) }));
  };
  const again = async () => {
    const all = await runs();
    return all.length === 2 && all.every(({ restarts }) => restarts > 0) ? all : null;
  };
  await until('the second run of both', again);
  array.release();
  const ended = async () => ((await runs()).every(({ state }) => state === 'COMPLETED') ? true : null);
  await until('the end of both', ended);
  for (const task of [0, 1]) {
    expect(readText(join(slurm.home, `array.${task}`))).toBe(expected);
    expect(readText(join(slurm.home, `holdfast-slurm-${array.id}_${task}.out`))).toBe(expected);
  }
});

/** The task of `several` on node1. */
const suspect = async (): Promise<Found> => {
  const task = (await found(several.id)).find(({ node, job }) => node === 'node1' && job !== null);
  if (task === undefined) throw new Error('it is not tracked');
  return task;
};

test('a job that is suspended, in the middle of a checkpoint or before it, stays so, and goes on', async () => {
  const job = (await suspect()).job ?? '';
  const output = join(slurm.home, 'node1.steps');
  const restartAgent = async (environment: NodeJS.ProcessEnv) => {
    await stack.agents.get('node1')?.stop();
    await stack.startAgent('node1', environment);
  };
  await restartAgent({ HOLDFAST_FAULT: 'agent.capture.before-freeze:stop' });
  const agent = stack.agents.get('node1');
  try {
    const late = checkpoint(job);
    const isStopped = () =>
      stack
        .node('node1')
        .processes()
        .some(({ argv, state }) => argv.includes('agent') && state === 'T');
    await until('the agent before its freeze', () => (isStopped() ? true : null), 20_000);
    await slurm.must(HEAD, ['scontrol', 'suspend', String(several.id)]);
    const state = `/sys/fs/cgroup/freezer/slurm_node1/uid_${ALICE.uid}/job_${several.id}/step_*/freezer.state`;
    const frozen = async () => {
      const { stdout } = await stack.node('node1').run(['sh', '-c', `cat ${state}`]);
      return stdout.includes('FROZEN') ? stdout : null;
    };
    const held = await until('frozen groups', frozen, 20_000);
    agent?.resume();
    const refusal = { code: 5, stderr: expect.stringContaining('was suspended during its checkpoint') };
    expect(await late).toMatchObject(refusal);
    const again = { code: 5, stderr: expect.stringContaining('its freezer cgroup is frozen') };
    const before = lines(output);
    expect(await checkpoint(job)).toMatchObject(again);
    expect((await suspect()).state).toBe('suspended');
    expect(await frozen()).toBe(held);
    expect(lines(output)).toBe(before);
  } finally {
    agent?.resume();
    // What is frozen cannot be killed either.
    await slurm.must(HEAD, ['scontrol', 'resume', String(several.id)]);
  }
  await restartAgent({});
  await goesOn(output);
  const taken = await checkpoint(job);
  if (taken.code !== 0) throw new Error(`${taken.stderr}\n${stack.logs()}`);
});

test('a task of a job that was cancelled starts again outside of Slurm', async () => {
  const { step } = await suspect();
  await goesOn(join(slurm.home, 'node1.steps'));
  expect(await slurm.alice(['scancel', String(several.id)])).toMatchObject({ code: 0 });
  await slurm.jobIn(several.id, ['CANCELLED']);
  several.release();
  const ambiguous = await stack.holdfast('node2', ['restart', `slurm-${several.id}`], ALICE);
  expect(ambiguous).toMatchObject({ code: 2, stderr: expect.stringContaining('names several jobs') });
  const rest = await restarted(`slurm-${several.id}.${step}.0`, 'again', 5);
  expect(expected.endsWith(rest)).toBe(true);
  const printed = readText(join(slurm.home, 'node1.steps'));
  expect(printed.startsWith(expected.slice(0, -rest.length))).toBe(true);
});

test('without a TaskProlog --holdfast is heeded all the same, also for a program without srun', async () => {
  const committed = async () => {
    const { jobs } = await (await stack.connection('node2')).call('listJobs', { all: false });
    const own = jobs.filter(({ spec }) => spec?.name.startsWith(`slurm-${auto.id}.`));
    return own.length === 2 && own.every(({ lastGeneration }) => lastGeneration > 0) ? own : null;
  };
  const own = await until('checkpoints of both', committed).catch(async (error: Error) => {
    throw new Error(`${error.message}\n${JSON.stringify(await found(auto.id))}\n${stack.logs(20)}`);
  });
  expect(own.map(({ spec }) => spec?.name).sort()).toEqual(
    ['0.0', 'batch.0'].map((task) => `slurm-${auto.id}.${task}`),
  );
  expect(own.map(({ spec }) => spec?.uid)).toEqual([ALICE.uid, ALICE.uid]);
  auto.release();
  await auto.end('COMPLETED');
  for (const name of ['step', 'script']) expect(readText(join(slurm.home, `${name}.auto`))).toBe(expected);
});

test('both components of a heterogeneous job are found, by either name', async () => {
  const tasks = await trackable(het.id, 2);
  expect(tasks.map(({ name, node }) => ({ name, node }))).toEqual([
    { name: `${het.id}+0`, node: 'node1' },
    { name: `${het.id}+1`, node: 'node3' },
  ]);
  expect(await found(`${het.id}+1`)).toMatchObject([
    { node: 'node3', jobId: het.id + 1, step: '0', task: 1 },
  ]);
  const jobs = onlyTracked((await track(het.id)).tasks).map(({ job }) => job ?? '');
  expect(jobs).toHaveLength(2);
  expect((await Promise.all(jobs.map(checkpoint))).map(({ code }) => code)).toEqual([0, 0]);
  await het.end('COMPLETED');
});

test('a task with a terminal goes on, outside of Slurm into a file', async () => {
  await linesAtLeast(pty.copy, 5);
  const id = (await slurm.alice(['squeue', '--me', '-h', '--name=pty', '-o', '%i'])).stdout.trim();
  const [one] = onlyTracked((await track(id)).tasks);
  expect(await checkpoint(one?.job ?? '')).toMatchObject({ code: 0 });
  await goesOn(pty.copy);
  pty.release();
  expect((await pty.ended)?.code).toBe(0);
  expect(expected.endsWith(await restarted(`slurm-${id}`, 'pty-again'))).toBe(true);
});
