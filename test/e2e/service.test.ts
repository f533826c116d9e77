/** What a coordinator does by itself with real jobs: schedules, the drain of a node, and the collection of what nobody wants. */
import { join } from 'node:path';
import { type Job, JobState } from '../../proto/gen/holdfast/v1/coordinator';
import { openStore } from '../../store/open';
import { HEAD, readText, Stack } from '../harness/stack';
import { compileVictim } from '../harness/victims';
import { intactGenerations, unnamed } from './generations';
import { Leftovers } from './leftovers';
import { Operations } from './operations';
import {
  Brake,
  checkpoint,
  expectSurvival,
  jobEnd,
  killJob,
  linesAtLeast,
  RESTARTED,
  restart,
  type Submitted,
  submit,
  undisturbed,
} from './survival';

const NODES = ['node1', 'node2'];
/** Rounds of the job, which takes seconds without its brake. */
const ROUNDS = 2000;
let stack: Stack;
let leftovers: Leftovers;
let operations: Operations;

beforeAll(async () => {
  stack = await Stack.start({ nodes: NODES, store: 'directory', coordinatorFlags: ['--gc-grace', '0s'] });
  leftovers = new Leftovers(stack, NODES);
  operations = new Operations(stack, 'node2');
});
afterEach(() => leftovers.none());
afterAll(() => stack?.stop());

const argv = () => [compileVictim('series', stack.shared), '4', String(ROUNDS), '50', '1', '3'];

/** A job on node1 with these options. */
async function start(name: string, flags: readonly string[]): Promise<Submitted & { brake: Brake }> {
  const brake = new Brake(stack, name);
  const job = await submit(stack, { name, argv: argv(), nodes: ['node1'], flags, env: brake.environment });
  await linesAtLeast(job.output, 3);
  return { ...job, brake };
}

const committed = (id: string, count: number): Promise<Job> =>
  operations.job(id, `${count} generations`, ({ lastGeneration }) => lastGeneration >= count);

/** What was decided about its checkpoints. */
const reasons = ({ schedule, decisions }: Job): string =>
  [schedule?.reason ?? '', ...decisions.map(({ reason }) => reason)].join('\n');

test('--cron: a checkpoint at each time of the calendar, and no other', async () => {
  const { id } = await start('calendar', ['--cron', '*/3 * * * * *', '--time-zone', 'Europe/Berlin']);
  const job = await committed(id, 2);
  expect(job.schedule?.kind).toBe('cron');
  expect((job.schedule?.dueMs ?? 0) % 3_000).toBe(0);
  expect(reasons(job)).toContain('*/3 * * * * *');
  await killJob(stack, 'node1', id);
});

test('--every auto: from the measured cost and the failures, and it says so', async () => {
  const { id } = await start('adaptive', ['--every', 'auto']);
  await checkpoint(stack, 'node1', id);
  const decided = /interval [\d.]+ s: cost [\d.]+ s, MTBF [\d.]+ h from \d+ failures? in/;
  const job = await operations.job(id, 'an interval from its cost', (job) => decided.test(reasons(job)));
  expect(job.schedule).toMatchObject({ kind: 'auto', reason: expect.stringMatching(decided) });
  await killJob(stack, 'node1', id);
});

test('a drained node: its job goes on elsewhere from a checkpoint, and nothing new comes', async () => {
  const expected = await undisturbed(stack, 'node2', argv());
  const { id, output, brake } = await start('drained', RESTARTED);
  const drained = await stack.holdfast(HEAD, ['drain', 'node1', '--reason', 'a fan', '--restart']);
  expect({ code: drained.code, stderr: drained.stderr }).toEqual({
    code: 0,
    stderr: expect.stringContaining('node node1 is drained; 1 checkpoint begun'),
  });
  const isMoved = ({ trees, state }: Job) => trees[0]?.node === 'node2' && state === JobState.RUNNING;
  await operations.job(id, 'runs on node2', isMoved);
  const refused = await stack.holdfast('node1', ['run', '--nodes', 'node1', '--', 'true']);
  expect(refused.stderr).toContain('a fan');
  expect(refused.code).not.toBe(0);
  brake.release();
  const { exitCode } = await jobEnd(stack, 'node2', id);
  expectSurvival(stack, { ...expected, code: exitCode ?? -1 }, output, expected);
  expect((await stack.holdfast(HEAD, ['undrain', 'node1'])).code).toBe(0);
});

test('gc while checkpoints run: what is left is whole, and a restart from it gives the same output', async () => {
  const expected = await undisturbed(stack, 'node1', argv());
  const { id, output, brake } = await start('collected', ['--every', '1s', '--keep', 'last=1']);
  const store = openStore(`file://${join(stack.directory, 'store')}`);
  // What the policy does not want goes as checkpoints are committed; each sweep deletes what an earlier one has condemned.
  for (let generation = 2; generation <= 6; generation += 1) {
    await committed(id, generation);
    await stack.json(HEAD, ['gc']);
  }
  await killJob(stack, 'node1', id);
  // The first sweep condemns what the last checkpoint left behind, the second one deletes it.
  for (let sweep = 0; sweep < 2; sweep += 1) await stack.json(HEAD, ['gc']);
  const left = await intactGenerations(store, id);
  expect(left).toHaveLength(1);
  expect(await operations.generations(id)).toEqual(left);
  expect(await unnamed(store, id)).toEqual([]);
  brake.release();
  const ended = await restart(stack, id, ['node2']);
  expectSurvival(stack, ended, output, expected);
  expect(readText(output).split('\n')).toHaveLength(expected.stdout.split('\n').length);
});
