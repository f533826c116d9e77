/** Lazy restarts: the job runs before its memory is there, and ends as if nothing had been. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readText, Stack } from '../harness/stack';
import { compileVictim } from '../harness/victims';
import { Leftovers } from './leftovers';
import {
  Brake,
  checkpoint,
  expectSurvival,
  goesOn,
  killJob,
  linesAtLeast,
  restart,
  submit,
  tails,
  undisturbed,
} from './survival';

const NODES = ['node1', 'node2'];
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
  ['a process', () => [compiled('series'), '64', '200', '100', '1', '3'], 3],
  ['four threads', () => [compiled('series'), '64', '200', '100', '4'], 0],
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

  for (const [subject, node] of [
    [id, 'node1'],
    [ckpt, 'node2'],
  ] as const) {
    const before = readText(output);
    const ended = await restart(stack, subject, [node], ['--lazy']);
    const tail = readText(tails(output).at(-1) ?? '');
    expectSurvival(stack, ended, output, expected);
    expect(ended.stdout).toBe(expected.stdout.slice(before.length - tail.length));
    expect(stack.logs(60)).toContain('lazy restart over');
  }
});

test('memory that moves, goes and is inherited before it is there', async () => {
  const go = join(stack.shared, 'go');
  const argv = [compiled('moves'), '128', go];
  const { id, output } = await submit(stack, { name: 'moves', argv, nodes: ['node1'] });
  await linesAtLeast(output, 3);
  await checkpoint(stack, 'node1', id);
  await killJob(stack, 'node1', id);
  writeFileSync(go, '');
  const ended = await restart(stack, id, ['node2'], ['--lazy']);
  expect(ended.stdout).toContain('all right');
  expect(ended.code).toBe(42);
});
