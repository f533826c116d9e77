/** One line in a batch script, and nothing is lost: to a dead node, to the time limit, to a more urgent job. All with a real Slurm. */
import { readFileSync } from 'node:fs';
import { Leftovers } from '../e2e/leftovers';
import { undisturbed, until } from '../e2e/survival';
import { jobOutput } from '../harness/jobOutput';
import { HEAD, readText, Stack } from '../harness/stack';
import { compileVictim } from '../harness/victims';
import { SlurmCluster } from './cluster';
import { Script } from './script';
import { installedSite } from './site';

const NODES = ['node1', 'node2', 'node3'];
let stack: Stack;
let slurm: SlurmCluster;

beforeAll(async () => {
  const flags = { coordinatorFlags: ['--slurm'] };
  stack = await Stack.start({ nodes: NODES, store: 'directory', leaseMs: 4000, ...flags });
  slurm = await SlurmCluster.onto(stack, { extra: installedSite(stack).slurmConf, accounting: true });
});
afterAll(() => stack?.stop());

const series = (...args: string[]): string[] => [compileVictim('series', stack.shared), ...args];
/** It ends at once, and with 0. */
const short = () => series('1', '20', '0');
const long = (exitCode: string) => series('8', '2000', '50', '2', exitCode);
const run = (argv: readonly string[], flags = '--every 2s'): string =>
  `holdfast run ${flags} -- ${argv.join(' ')}`;
const submit = (name: string, body: string, flags: readonly string[]) =>
  Script.submit(stack, slurm, name, body, flags);

const outputOf = async (...commands: (readonly string[])[]): Promise<string> => {
  const ended = await Promise.all(commands.map((argv) => undisturbed(stack, 'node3', argv)));
  return ended.map(({ stdout }) => stdout).join('');
};

/** Pulls the plug of a node, and puts it back in when the test has done with it. */
async function killed(node: string): Promise<() => Promise<void>> {
  await stack.node(node).kill();
  return async () => {
    await stack.node(node).boot();
    await stack.startAgent(node);
    await slurm.rejoin(node);
  };
}

test('a dead node: the job goes on elsewhere from its last checkpoint, and ends with its own exit code', async () => {
  const script = await submit('dead', `${run(short())} && ${run(long('3'))}`, ['--open-mode=append']);
  await script.says(/committed \(generation 2\)/);
  const { NodeList = '' } = await slurm.job(script.id);
  const putBack = await killed(NodeList);
  const { NodeList: now } = await script.restarted(1);
  expect(now).not.toBe(NodeList);
  await script.goesOn();
  expect(await script.end('FAILED')).toMatchObject({ ExitCode: '3:0', Restarts: '1' });
  expect(readText(script.output)).toBe(await outputOf(short(), long('3')));
  expect(script.errors).toMatch(/was completed by an earlier run of the script/);
  expect(script.errors).toContain(`${NodeList} → ${now}`);
  expect(await slurm.runs(script.id)).toEqual([
    { state: 'NODE_FAIL', exitCode: '0:0', nodes: NodeList },
    { state: 'FAILED', exitCode: '3:0', nodes: now },
  ]);
  await putBack();
});

test('MPI on two nodes, one of them dies: the two that are left go on', async () => {
  const program = [compileVictim('mpi_series', stack.shared, 'mpicc.openmpi'), '8', '600', '50'];
  const launcher = [
    '--oversubscribe',
    '--mca',
    'btl',
    'tcp,self',
    '--mca',
    'mpi_yield_when_idle',
    '1',
    '-x',
    'SLOW_WHILE',
  ];
  const line = `holdfast mpirun --mpirun mpirun.openmpi --every 2s ${[...launcher, ...program].join(' ')}`;
  // Slurm begins a new output file in each run, the default: all of it is in the last one.
  const script = await submit('mpi', line, ['--nodes=2', '--ntasks-per-node=2']);
  await script.says(/committed \(generation 2\)/);
  const jobs = await stack.json<{ jobs: { nodes: string[] }[] }>('node3', ['jobs']);
  expect(jobs.jobs.map(({ nodes }) => nodes)).toEqual([['node1', 'node2']]);
  const putBack = await killed('node2');
  expect(await script.restarted(1)).toMatchObject({ NodeList: 'node[1,3]', NumNodes: '2' });
  await script.goesOn();
  expect(await script.end('COMPLETED')).toMatchObject({ ExitCode: '0:0', Restarts: '1' });
  const alone = ['mpirun.openmpi', '-n', '4', ...launcher, ...program];
  expect(jobOutput(script.output)).toBe(await outputOf(alone));
  expect(await slurm.runs(script.id)).toEqual([
    { state: 'NODE_FAIL', exitCode: '0:0', nodes: 'node[1-2]' },
    { state: 'COMPLETED', exitCode: '0:0', nodes: 'node[1,3]' },
  ]);
  await putBack();
});

test('the time limit: a job that needs three runs ends as if it had had one', async () => {
  const script = await submit('limit', run(long('0'), ''), ['--time=10', '--open-mode=append']);
  await script.lines(5);
  for (const restarts of [1, 2]) {
    await script.endIn(25);
    await script.restarted(restarts);
    await script.goesOn();
  }
  expect(await script.end('COMPLETED')).toMatchObject({ Restarts: '2' });
  expect(readText(script.output)).toBe(await outputOf(long('0')));
  expect(script.errors.match(/stopped at a checkpoint \(deadline\)/g)).toHaveLength(2);
});

test('a more urgent job: checkpointed within the grace time, requeued, and ended correctly', async () => {
  const flags = ['--nodelist=node3', '--exclusive'];
  const script = await submit('urgent', `${run(short(), '')} && ${run(long('0'), '')}`, flags);
  await script.lines(30);
  const rival = await slurm.submit('sleep 3', ['--partition=urgent', ...flags, '--output=/dev/null']);
  const { StartTime = '', SubmitTime = '' } = await slurm.jobIn(rival, ['RUNNING'], 40_000);
  // Before its time was over.
  expect(Date.parse(StartTime) - Date.parse(SubmitTime)).toBeLessThan(20_000);
  // The next run begins a new file.
  expect(script.errors).toMatch(/stopped at a checkpoint \(preempt\)/);
  await slurm.jobIn(rival, ['COMPLETED']);
  await script.restarted(1);
  await script.goesOn();
  expect(await script.end('COMPLETED')).toMatchObject({ Restarts: '1' });
  expect(readText(script.output)).toBe(await outputOf(short(), long('0')));
  // Stopped at its checkpoint before Slurm pre-empts it.
  expect(await slurm.runs(script.id)).toEqual([
    { state: 'REQUEUED', exitCode: '0:0', nodes: 'node3' },
    { state: 'COMPLETED', exitCode: '0:0', nodes: 'node3' },
  ]);
});

test('a restored job is suspended, resumed and cancelled as any other', async () => {
  const leftovers = new Leftovers(stack, ['node2']);
  const script = await submit('cancel', run(long('0')), ['--nodelist=node2', '--open-mode=append']);
  await script.says(/committed \(generation 1\)/);
  expect(await slurm.alice(['scontrol', 'requeue', String(script.id)])).toMatchObject({ code: 0 });
  await script.restarted(1);
  await script.says(/ restarted, output in/);
  await script.goesOn();

  const programs = () =>
    stack
      .node('node2')
      .processes()
      .filter(({ argv }) => argv[0]?.endsWith('/series'));
  const states = () => programs().map(({ state }) => state);
  for (const { pid } of programs()) {
    const groups = readFileSync(stack.node('node2').path(`/proc/${pid}/cgroup`), 'utf8');
    expect(groups).toMatch(new RegExp(`freezer:.*/job_${script.id}/step_batch`));
    expect(groups).toMatch(new RegExp(`memory:.*/job_${script.id}/step_batch`));
  }
  await slurm.must(HEAD, ['scontrol', 'suspend', String(script.id)]);
  const grown = () => readText(script.output).length;
  await until('a stopped job', async () => {
    const before = grown();
    await new Promise((resolve) => setTimeout(resolve, 300));
    return grown() === before ? true : null;
  });
  expect(states()).toHaveLength(1);
  await slurm.must(HEAD, ['scontrol', 'resume', String(script.id)]);
  await script.goesOn();

  expect(await slurm.alice(['scancel', String(script.id)])).toMatchObject({ code: 0 });
  await slurm.jobIn(script.id, ['CANCELLED']);
  await leftovers.none();
  expect((await lastJob((job) => job.state === 'FAILED')).reason).toContain(
    `Slurm job ${script.id} was cancelled`,
  );
  script.release();
});

interface JobView {
  readonly id: string;
  readonly state: string;
  readonly reason: string;
}

/** The newest job, once it is so. */
const lastJob = (isSo: (job: JobView) => boolean): Promise<JobView> =>
  until('the newest job', async () => {
    const { code, stdout } = await stack.holdfast('node3', ['jobs', '--all', '--json']);
    if (code === 8) return null; // its agent looks for the coordinator
    const last = (JSON.parse(stdout) as { jobs: JobView[] }).jobs.at(-1);
    return last !== undefined && isSo(last) ? last : null;
  });

test('a job that is cancelled while it waits, and no coordinator is there, is over when one is', async () => {
  const script = await submit('waits', run(long('0'), '--every 2s --keep end=1s'), []);
  await script.says(/committed \(generation 1\)/);
  expect(await slurm.alice(['scontrol', 'requeuehold', String(script.id)])).toMatchObject({ code: 0 });
  await lastJob(({ state }) => state === 'STOPPED');
  await stack.coordinator?.stop('SIGKILL');
  expect(await slurm.alice(['scancel', String(script.id)])).toMatchObject({ code: 0 });
  await stack.startCoordinator();
  const { id, reason } = await lastJob(({ state }) => state === 'FAILED');
  expect(reason).toMatch(new RegExp(`; Slurm job ${script.id} was cancelled$`));
  // What was kept until its end goes: nobody needs it.
  await until('its retention', async () => {
    await stack.json('node3', ['gc', id]);
    const { checkpoints } = await stack.json<{ checkpoints: unknown[] }>('node3', ['checkpoints', id]);
    return checkpoints.length === 0 ? true : null;
  });
  script.release();
});

test('a drained node: an MPI job with MPICH is stopped at a checkpoint there, and goes on elsewhere', async () => {
  const program = [compileVictim('mpi_series', stack.shared, 'mpicc.mpich'), '8', '400', '50'];
  const line = `holdfast mpirun --mpirun mpirun.mpich --every 2s -n 2 ${program.join(' ')}`;
  const flags = ['--nodes=2', '--nodelist=node1', '--open-mode=append'];
  const script = await submit('mpich', line, flags);
  await script.says(/committed \(generation 1\)/);
  const { NodeList } = await slurm.job(script.id);
  expect(NodeList).toBe('node[1-2]');
  const update = (...words: string[]) => slurm.must(HEAD, ['scontrol', 'update', 'nodename=node2', ...words]);
  await update('state=drain', 'reason=fan');
  // Any job's end has the coordinator ask Slurm at once.
  await slurm.submit('true', ['--output=/dev/null']);
  expect(await script.restarted(1)).toMatchObject({ NodeList: 'node[1,3]' });
  await script.goesOn();
  expect(script.errors).toMatch(/stopped at a checkpoint \(drain\)/);
  expect(await script.end('COMPLETED')).toMatchObject({ ExitCode: '0:0', Restarts: '1' });
  expect(readText(script.output)).toBe(await outputOf(['mpirun.mpich', '-n', '2', ...program]));
  await update('state=resume');
});
