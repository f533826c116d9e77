/** Plain `srun ./app` in a script with --holdfast: checkpointed as far as possible, and what is not is said at the start. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../e2e/survival';
import { readText, Stack } from '../harness/stack';
import { compileVictim } from '../harness/victims';
import { ALICE, SlurmCluster } from './cluster';
import { installedSite } from './site';

let stack: Stack;
let slurm: SlurmCluster;

beforeAll(async () => {
  stack = await Stack.start({ nodes: ['node1'], store: 'directory' });
  const site = installedSite(stack);
  slurm = await SlurmCluster.onto(stack, { extra: site.slurmConf, plugStack: site.plugStack });
});
afterAll(() => stack?.stop());

interface JobView {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly uid: number;
  readonly lastGeneration: number;
}

const jobs = async (): Promise<JobView[]> =>
  (await stack.json<{ jobs: JobView[] }>('node1', ['jobs', '--all'], ALICE)).jobs;

test('each task of a step is checkpointed while it runs, and ends as if nothing had been', async () => {
  const series = compileVictim('series', stack.shared);
  const id = await slurm.submit(`srun -n2 ${series} 8 200 50 1 0; echo ended $?`, [
    '--holdfast=interval=2s,keep=2',
    '--ntasks=2',
    '--job-name=steps',
  ]);
  const output = join(slurm.home, `steps-${id}.out`);
  const checkpointed = async () => {
    const all = await jobs();
    return all.length === 2 && all.every(({ lastGeneration }) => lastGeneration > 0) ? all : null;
  };
  const tracked = await until('checkpoints of both tasks', checkpointed, 30_000).catch(
    async (error: Error) => {
      const said = existsSync(output) ? readText(output) : 'no output';
      throw new Error(`${error.message}\n${JSON.stringify(await jobs())}\n${said}\n${stack.logs(30)}`);
    },
  );
  const named = tracked.sort((a, b) => (a.name < b.name ? -1 : 1));
  expect(named.map(({ name, uid, state }) => ({ name, uid, state }))).toEqual(
    [0, 1].map((task) => ({ name: `slurm-${id}.0.${task}`, uid: ALICE.uid, state: 'RUNNING' })),
  );
  expect(await slurm.jobIn(id, ['COMPLETED', 'FAILED'], 60_000)).toMatchObject({ ExitCode: '0:0' });
  const text = readText(output);
  const said = `holdfast: this task of Slurm job ${id} is checkpointed every 2 s as far as possible\n`;
  expect(text.split(said)).toHaveLength(3);
  expect(text).toContain('it is not restarted by itself');
  expect(text).toMatch(/ended 0\n$/);
  const ended = async () => ((await jobs()).every(({ state }) => state !== 'RUNNING') ? true : null);
  await until('the end of both', ended, 20_000);
});

test('without --holdfast nothing is tracked, and nothing is said', async () => {
  const before = (await jobs()).length;
  const id = await slurm.submit('srun echo task', ['--job-name=plain']);
  await slurm.jobIn(id, ['COMPLETED']);
  expect(readText(join(slurm.home, `plain-${id}.out`))).toBe('task\n');
  expect(await jobs()).toHaveLength(before);
});
