/** Jobs that run without Holdfast: their tasks are found on all nodes, tracked as far as possible, and what is not is said. */
import { join } from 'node:path';
import { parseSelection } from '../../core/slurm/selection';
import type { SlurmProcess } from '../../proto/gen/holdfast/v1/agent';
import { Brake, goesOn, lines, linesAtLeast, undisturbed, until } from '../e2e/survival';
import { HEAD, readText, Stack } from '../harness/stack';
import { compileVictim } from '../harness/victims';
import { ALICE, SlurmCluster } from './cluster';
import { Script } from './script';
import { installedSite } from './site';

const NODES = ['node1', 'node2'];
const OTHER = { uid: 65534, gid: 65534 };
let stack: Stack;
let slurm: SlurmCluster;

beforeAll(async () => {
  stack = await Stack.start({ nodes: NODES, store: 'directory' });
  const site = installedSite(stack);
  // A site that has no TaskProlog.
  const extra = site.slurmConf.filter((line) => !line.startsWith('Task'));
  slurm = await SlurmCluster.onto(stack, { extra, plugStack: site.plugStack });
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

const series = (exitCode = '0'): string[] => [
  compileVictim('series', stack.shared),
  ...['8', '2000', '50', '1', exitCode],
];

async function found(job: number | string, user = ALICE as { uid: number; gid: number }): Promise<Found[]> {
  const command = ['slurm', 'tasks', String(job), '--json'];
  const { code, stdout, stderr } = await stack.holdfast('node1', command, user);
  if (code !== 0) throw new Error(stderr);
  return (JSON.parse(stdout) as { processes: Found[] }).processes;
}

/** The tasks that can be tracked, once there are so many. Asked as root, without a new process each time. */
const trackable = (job: number | string, count: number): Promise<SlurmProcess[]> => {
  let seen: readonly SlurmProcess[] = [];
  const look = async () => {
    const selection = parseSelection(String(job));
    seen = (await (await stack.connection('node1')).call('listSlurmTasks', { selection })).processes;
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
  const result = await stack.holdfast('node1', ['slurm', 'track', String(job), '--json', ...flags], ALICE);
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

const scancel = async (id: number) => {
  expect(await slurm.alice(['scancel', String(id)])).toMatchObject({ code: 0 });
  await slurm.jobIn(id, ['CANCELLED']);
};

test('several steps on two nodes: found, tracked, and a task starts again outside of Slurm', async () => {
  const argv = series('5');
  const line = (node: string) =>
    `srun --exact -N1 -n1 --mem=100 -w ${node} ${argv.join(' ')} > ${node}.steps &`;
  const body = [line('node1'), line('node2'), 'wait'].join('\n');
  const script = await Script.submit(stack, slurm, 'several', body, ['--nodes=2', '--ntasks=2', '--mem=200']);
  const tasks = await trackable(script.id, 2);
  expect(tasks.map(({ node }) => node).sort()).toEqual(NODES);
  expect(tasks.map(({ step }) => step).sort()).toEqual(['0', '1']);
  const all = await found(script.id);
  expect(all.filter(({ step }) => step === 'batch').map(({ refusal }) => refusal)).toEqual(
    Array(2).fill('srun cannot be captured: its tasks are found by themselves'),
  );
  expect(await found(script.id, OTHER)).toEqual([]);
  await Promise.all(NODES.map((node) => linesAtLeast(join(slurm.home, `${node}.steps`), 10)));

  const { tasks: tracked, said } = await track(script.id, ['--keep', '2']);
  expect(said).toContain('nothing of it is restarted by itself');
  expect(tracked.map(({ outcome }) => outcome).sort()).toEqual(['refused', 'refused', 'tracked', 'tracked']);
  expect((await track(script.id)).tasks.map(({ outcome }) => outcome).sort()).toEqual([
    'already',
    'already',
    'refused',
    'refused',
  ]);
  const one = tracked.find(({ node, job }) => node === 'node1' && job !== null);
  const taken = await checkpoint(one?.job ?? '');
  if (taken.code !== 0) throw new Error(`${taken.stderr}\n${stack.logs()}`);
  await goesOn(join(slurm.home, 'node1.steps'));
  await scancel(script.id);
  script.release();

  const ambiguous = await stack.holdfast('node2', ['restart', `slurm-${script.id}`], ALICE);
  expect(ambiguous).toMatchObject({ code: 2 });
  expect(ambiguous.stderr).toContain('names several jobs');
  const rest = await restarted(`slurm-${script.id}.${one?.step}.0`, 'again', 5);
  const expected = await undisturbed(stack, 'node2', argv);
  expect(expected.stdout.endsWith(rest)).toBe(true);
  expect(readText(join(slurm.home, 'node1.steps')).startsWith(expected.stdout.slice(0, -rest.length))).toBe(
    true,
  );
});

test('a suspended job stays suspended: its checkpoint is refused, and taken when it runs again', async () => {
  const script = await Script.submit(stack, slurm, 'suspended', `srun ${series().join(' ')}`, [
    '--nodelist=node1',
  ]);
  await script.lines(5);
  await trackable(script.id, 1);
  const { tasks } = await track(script.id);
  const job = tasks.find(({ outcome }) => outcome === 'tracked')?.job ?? '';
  await slurm.must(HEAD, ['scontrol', 'suspend', String(script.id)]);
  const suspended = async () => (await found(script.id)).find(({ state }) => state === 'suspended') ?? null;
  await until('a suspended task', suspended, 20_000);
  const refused = await checkpoint(job);
  expect(refused).toMatchObject({ code: 5 });
  expect(refused.stderr).toContain('its freezer cgroup is frozen');
  const before = lines(script.output);
  expect(await suspended()).not.toBeNull();
  expect(lines(script.output)).toBe(before);
  await slurm.must(HEAD, ['scontrol', 'resume', String(script.id)]);
  await script.goesOn();
  expect(await checkpoint(job)).toMatchObject({ code: 0 });
  await scancel(script.id);
  script.release();
});

test('without a TaskProlog --holdfast is heeded all the same, also for a program without srun', async () => {
  const argv = series().join(' ');
  const body = `srun ${argv} > step.auto &\n${argv} > script.auto\nwait`;
  const script = await Script.submit(stack, slurm, 'auto', body, [
    '--holdfast=interval=1s,keep=2',
    '--nodelist=node2',
  ]);
  const committed = async () => {
    const { jobs } = await stack.json<{ jobs: { name: string; lastGeneration: number }[] }>(
      'node1',
      ['jobs'],
      ALICE,
    );
    const own = jobs.filter(({ name }) => name.startsWith(`slurm-${script.id}.`));
    return own.length === 2 && own.every(({ lastGeneration }) => lastGeneration > 0) ? own : null;
  };
  const own = await until('checkpoints of both', committed).catch(async (error: Error) => {
    throw new Error(`${error.message}\n${JSON.stringify(await found(script.id))}\n${stack.logs(20)}`);
  });
  expect(own.map(({ name }) => name).sort()).toEqual([
    `slurm-${script.id}.0.0`,
    `slurm-${script.id}.batch.0`,
  ]);
  script.release();
  await script.end('COMPLETED');
  const { stdout } = await undisturbed(stack, 'node1', series());
  for (const name of ['step', 'script']) expect(readText(join(slurm.home, `${name}.auto`))).toBe(stdout);
});

test('both components of a heterogeneous job are found, by either name', async () => {
  const body = `srun --het-group=0,1 ${series().join(' ')}`;
  const shape = ['--ntasks=1', '--nodelist=node1', ':', '--ntasks=1', '--nodelist=node2'];
  const script = await Script.submit(stack, slurm, 'het', body, shape);
  const tasks = await trackable(script.id, 2);
  expect(tasks.map(({ node }) => node).sort()).toEqual(NODES);
  expect(await found(`${script.id}+1`)).toMatchObject([{ node: 'node2', jobId: script.id + 1, step: '0' }]);
  const { tasks: tracked } = await track(script.id);
  const jobs = tracked.filter(({ outcome }) => outcome === 'tracked').map(({ job }) => job ?? '');
  expect(jobs).toHaveLength(2);
  for (const job of jobs) expect(await checkpoint(job)).toMatchObject({ code: 0 });
  script.release();
  await script.end('COMPLETED');
});

test('a task with a terminal goes on, outside of Slurm into a file', async () => {
  const argv = series();
  const brake = new Brake(stack, 'pty');
  const copy = join(slurm.home, 'pty.copy');
  const line = `srun --pty --job-name=pty --nodelist=node1 ${argv.join(' ')}`;
  const env = brake.environment;
  const ended = slurm.alice(['script', '--quiet', '--flush', '--command', line, copy], { env });
  await linesAtLeast(copy, 5);
  const id = (await slurm.alice(['squeue', '--me', '-h', '--name=pty', '-o', '%i'])).stdout.trim();
  await trackable(id, 1);
  const { tasks } = await track(id);
  const job = tasks.find(({ outcome }) => outcome === 'tracked')?.job ?? '';
  expect(await checkpoint(job)).toMatchObject({ code: 0 });
  await goesOn(copy);
  brake.release();
  expect((await ended).code).toBe(0);
  const rest = await restarted(`slurm-${id}`, 'pty-again');
  expect((await undisturbed(stack, 'node2', argv)).stdout.endsWith(rest)).toBe(true);
});

test('each task of an array goes on by itself, the last one with the number of all of them, too', async () => {
  const argv = series();
  const body = `holdfast run --walltime 6s -- ${argv.join(' ')}`;
  const files = [
    '--array=0-1',
    '--output=array.%a',
    '--error=array.%a.err',
    '--open-mode=append',
    '--job-name=array',
  ];
  const script = await Script.submit(stack, slurm, 'array', body, [...files, '--nodelist=node1']);
  const restarted = async () => {
    const { stdout } = await slurm.alice(['scontrol', 'show', 'job', '-o', String(script.id)]);
    const runs = [...stdout.matchAll(/ArrayTaskId=([01]) .*? JobState=(\w+) .*?Restarts=(\d+)/g)];
    return runs.length === 2 && runs.every(([, , , restarts]) => Number(restarts) >= 1) ? runs : null;
  };
  await until('the second run of both', restarted);
  script.release();
  const ended = async () => {
    const { stdout } = await slurm.alice(['scontrol', 'show', 'job', '-o', String(script.id)]);
    return stdout.match(/JobState=COMPLETED/g)?.length === 2 ? true : null;
  };
  await until('the end of both', ended);
  const { stdout } = await undisturbed(stack, 'node2', argv);
  for (const task of [0, 1]) {
    expect(readText(join(slurm.home, `array.${task}`))).toBe(stdout);
    expect(readText(join(slurm.home, `holdfast-slurm-${script.id}_${task}.out`))).toBe(stdout);
  }
});
