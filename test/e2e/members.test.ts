/** A job with a tree on a second node, started through the remote shell, and both writing the same file. */
import { join } from 'node:path';
import { readText, Stack } from '../harness/stack';
import { Leftovers } from './leftovers';
import { Brake, checkpoint, goesOn, killJob, linesAtLeast, restart, submit } from './survival';

const NODES = ['node1', 'node2', 'node3'];
let stack: Stack;
let leftovers: Leftovers;

beforeAll(async () => {
  stack = await Stack.start({ nodes: NODES, store: 'directory' });
  leftovers = new Leftovers(stack, NODES);
});
afterEach(() => leftovers.none());
afterAll(() => stack?.stop());

const COUNT = 500;

const loop = (name: string): string =>
  `i=0; while [ $i -lt ${COUNT} ]; do echo ${name} $i; i=$((i + 1)); if [ -e "$SLOW_WHILE" ]; then sleep 0.02; fi; done`;

const linesOf = (output: string, name: string): string[] =>
  readText(output)
    .split('\n')
    .filter((line) => line.startsWith(name));

test('each node was frozen at another length of the file, and no line is lost or doubled', async () => {
  const done = join(stack.shared, 'far-done');
  const far = `${loop('far')}; touch ${done}`;
  const main = `"$HYDRA_LAUNCHER_EXEC" node2 '${far}'; ${loop('near')}; until [ -e ${done} ]; do sleep 0.05; done`;
  const brake = new Brake(stack, 'members');
  const argv = ['sh', '-c', main];
  const { id, output } = await submit(stack, {
    name: 'members',
    argv,
    nodes: ['node1'],
    env: brake.environment,
  });
  for (const nodes of [
    ['node1', 'node3'],
    ['node3', 'node2'],
    ['node1', 'node2'],
  ]) {
    await linesAtLeast(output, 40);
    await checkpoint(stack, 'node1', id);
    await goesOn(output);
    await killJob(stack, 'node1', id);
    const restarted = await restart(stack, id, nodes, ['--detach']);
    if (restarted.code !== 0) throw new Error(`${restarted.stderr}\n${stack.logs()}`);
  }
  await goesOn(output);
  await checkpoint(stack, 'node1', id);
  await killJob(stack, 'node1', id);
  brake.release();
  const ended = await restart(stack, id, ['node1', 'node2']);
  expect({ code: ended.code, stderr: ended.stderr }).toMatchObject({ code: 0 });
  for (const name of ['near', 'far']) {
    expect(linesOf(output, name)).toEqual(Array.from({ length: COUNT }, (_, i) => `${name} ${i}`));
  }
});
