/** Jobs on one node: killed and restarted, here and elsewhere, each ends as if nothing had been. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readText, Stack, USER } from '../harness/stack';
import { compileVictim } from '../harness/victims';
import { Leftovers } from './leftovers';
import {
  Brake,
  checkpoint,
  expectSurvival,
  goesOn,
  jobEnd,
  jobNamed,
  killJob,
  linesAtLeast,
  outputPath,
  restart,
  runCommand,
  submit,
  tails,
  undisturbed,
  until,
} from './survival';

const NODES = ['node1', 'node2'];
const MIB = 2 ** 20;
let stack: Stack;
let leftovers: Leftovers;

beforeAll(async () => {
  stack = await Stack.start({ nodes: NODES, store: 'directory' });
  leftovers = new Leftovers(stack, NODES);
});
afterEach(() => leftovers.none());
afterAll(() => stack?.stop());

const compiled = (name: string): string => compileVictim(name, stack.shared);

const JOBS: readonly [string, () => string[], number][] = [
  ['a process', () => [compiled('series'), '8', '600', '50', '1', '3'], 3],
  ['four threads', () => [compiled('series'), '8', '600', '50', '4'], 0],
  ['a tree of processes', () => [compiled('tree'), '600', '50', '/tmp/tree'], 0],
];

test.each(JOBS)('%s', async (title, command, exitCode) => {
  const argv = command();
  const expected = await undisturbed(stack, 'node1', argv);
  expect(expected.code).toBe(exitCode);

  const name = title.replaceAll(' ', '-');
  const brake = new Brake(stack, name);
  const { id, output } = await submit(stack, { name, argv, nodes: ['node1'], env: brake.environment });
  await linesAtLeast(output, 10);
  const ckpt = await checkpoint(stack, 'node1', id);
  await goesOn(output);
  expect((await killJob(stack, 'node1', id)).exitCode).toBe(137);
  brake.release();

  for (const [subject, node, decision] of [
    [id, 'node1', 'node1 stays'],
    [ckpt, 'node2', 'node1 → node2'],
  ] as const) {
    const before = readText(output);
    const ended = await restart(stack, subject, [node]);
    expect(ended.stderr).toContain(decision);
    const tail = readText(tails(output).at(-1) ?? '');
    expectSurvival(stack, ended, output, expected);
    expect(before.endsWith(tail)).toBe(true);
    expect(tail.split('\n').length).toBeGreaterThan(5);
    expect(ended.stdout).toBe(expected.stdout.slice(before.length - tail.length));
  }
});

test('holdfast run stays with its job through a checkpoint and ends with its exit code', async () => {
  const argv = [compiled('series'), '8', '400', '50', '2', '7'];
  const expected = await undisturbed(stack, 'node1', argv);
  const brake = new Brake(stack, 'attached');
  const submission = { name: 'attached', argv, nodes: ['node2'] };
  const attached = stack.holdfast('node2', runCommand(stack, submission), {
    ...USER,
    env: brake.environment,
  });
  const { id } = await jobNamed(stack, 'node2', 'attached');
  await linesAtLeast(outputPath(stack, 'attached'), 10);
  await checkpoint(stack, 'node2', id);
  await goesOn(outputPath(stack, 'attached'));
  brake.release();
  expect(await attached).toMatchObject({ code: 7, stdout: expected.stdout });
});

test('what is stored is not stored again, after a restart of the agent nor of the job', async () => {
  const [status, stop] = [join(stack.shared, 'steady.status'), join(stack.shared, 'steady.stop')];
  const argv = [compiled('steady'), '256', status, stop];
  const { id } = await submit(stack, { name: 'steady', argv, nodes: ['node1'] });
  const beats = () => (existsSync(status) ? Number.parseInt(readText(status), 10) : 0);
  const beatsOn = async () => {
    const before = beats();
    await until('a beat', () => (beats() > before ? true : null));
  };
  const uploadedBytes = async (): Promise<number> => {
    const ckpt = await checkpoint(stack, 'node1', id);
    const { checkpoints } = await (await stack.connection('node2')).call('listCheckpoints', { job: id });
    return checkpoints.find(({ ckptId }) => ckptId === ckpt)?.uploadedBytes ?? Number.NaN;
  };

  await beatsOn();
  const first = await uploadedBytes();
  await stack.agents.get('node1')?.stop('SIGKILL');
  await stack.startAgent('node1');
  leftovers = new Leftovers(stack, NODES); // the new agent is no leftover
  const afterAgent = await uploadedBytes();
  await killJob(stack, 'node1', id);
  expect((await restart(stack, id, ['node2'], ['--detach'])).code).toBe(0);
  await beatsOn();
  const afterJob = await uploadedBytes();
  console.log(`uploaded: ${first}, ${afterAgent}, ${afterJob} bytes`);
  expect(first).toBeGreaterThan(8 * MIB);
  expect(afterAgent).toBeLessThan(2 * MIB);
  expect(afterJob).toBeLessThan(2 * MIB);
  writeFileSync(stop, '');
  expect(await jobEnd(stack, 'node2', id)).toMatchObject({ exitCode: 42 });
});
