/** Processes that nobody prepared: not started through Holdfast, not linked to anything of it. */
import { once } from 'node:events';
import { join } from 'node:path';
import { readText, Stack, USER } from '../harness/stack';
import { compileVictim } from '../harness/victims';
import { Leftovers } from './leftovers';
import { startUnprepared } from './processes';
import {
  Brake,
  checkpoint,
  expectSurvival,
  goesOn,
  jobEnd,
  linesAtLeast,
  outputPath,
  restart,
  submit,
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

const SHELL_LOOP = [
  'i=0',
  'while [ $i -lt 600 ]; do echo "line $i"; i=$((i + 1)); if [ -e "$SLOW_WHILE" ]; then sleep 0.05; fi; done',
  'exit 4',
].join('\n');

const PROGRAMS: readonly [string, () => string[], number][] = [
  ['a process with threads', () => [compileVictim('series', stack.shared), '8', '600', '50', '3', '5'], 5],
  ['a shell loop', () => ['sh', '-c', SHELL_LOOP], 4],
];

test.each(PROGRAMS)(
  '%s is checkpointed by its pid, killed, and restarted',
  async (title, command, exitCode) => {
    const argv = command();
    const expected = await undisturbed(stack, 'node1', argv);
    expect(expected.code).toBe(exitCode);
    const name = title.replaceAll(' ', '-');
    const brake = new Brake(stack, name);
    const start = { name, argv, env: brake.environment };
    const { pid, output, kill } = await startUnprepared(stack, 'node1', start);
    const ckpt = await checkpoint(stack, 'node1', String(pid));
    await goesOn(output);
    await kill();
    brake.release();
    for (const node of NODES) {
      const ended = await restart(stack, ckpt, [node]);
      expectSurvival(stack, ended, output, expected);
    }
  },
);

test('a shell loop stopped at its checkpoint goes on where it stood', async () => {
  const argv = ['sh', '-c', SHELL_LOOP];
  const expected = await undisturbed(stack, 'node1', argv);
  const brake = new Brake(stack, 'stopped');
  const { id, output } = await submit(stack, {
    name: 'stopped',
    argv,
    nodes: ['node1'],
    env: brake.environment,
  });
  for (const node of ['node1', 'node2', 'node1']) {
    await goesOn(output);
    await checkpoint(stack, node, id, ['--stop']);
    await jobEnd(stack, node, id);
    const restarted = await restart(stack, id, [node], ['--detach']);
    if (restarted.code !== 0) throw new Error(`${restarted.stderr}\n${stack.logs()}`);
  }
  brake.release();
  expect((await jobEnd(stack, 'node1', id)).exitCode).toBe(4);
  expect(readText(output)).toBe(expected.stdout);
});

/** Ways to start a program whose output somebody outside of its tree reads, and copies to a file. */
const READERS: readonly [string, (program: string, copy: string) => string][] = [
  ['a pipe', (program, copy) => `${program} < /dev/null 2>&1 | cat > ${copy}`],
  ['a terminal', (program, copy) => `script --quiet --flush --command 'exec ${program}' ${copy} > /dev/null`],
  [
    'a terminal of a shell',
    (program, copy) => `script --quiet --flush --command '${program}; true' ${copy} > /dev/null`,
  ],
];

test.each(READERS)('a process that writes to %s goes on, into a file', async (title, start) => {
  const argv = [compileVictim('series', stack.shared), '8', '600', '50', '2', '6'];
  const expected = await undisturbed(stack, 'node1', argv);
  const name = title.replaceAll(' ', '-');
  const brake = new Brake(stack, name);
  const copy = join(stack.shared, `${name}.copy`);
  const command = ['sh', '-c', start(argv.join(' '), copy)];
  const shell = stack
    .node('node1')
    .spawn(command, { ...USER, cwd: stack.shared, env: brake.environment, stdio: 'ignore' });
  await linesAtLeast(copy, 10);
  const pid = stack
    .node('node1')
    .processes()
    .find((one) => one.argv.join(' ') === argv.join(' '))?.pid;
  const ckpt = await checkpoint(stack, 'node1', String(pid));
  await goesOn(copy);
  const closed = once(shell, 'close');
  await stack.node('node1').run(['kill', '-KILL', String(pid)]);
  await closed;
  brake.release();
  for (const node of NODES) {
    const output = outputPath(stack, `${name}-${node}`);
    const ended = await restart(stack, ckpt, [node], ['--output', output]);
    const before = expected.stdout.slice(0, -ended.stdout.length);
    if (ended.code !== 6) throw new Error(`${ended.code}: ${ended.stderr}\n${stack.logs()}`);
    expect(before + readText(output)).toBe(expected.stdout);
    expect(
      readText(copy)
        .replaceAll('\r', '')
        .replace(/^Script started.*\n/, '')
        .startsWith(before),
    ).toBe(true);
    expect(before.split('\n').length).toBeGreaterThan(10);
  }
});
