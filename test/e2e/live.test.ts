/** Live capture: memory is read after the hold, from clones, while the job goes on writing; and it is that of the hold. */
import { existsSync } from 'node:fs';
import { readText, Stack } from '../harness/stack';
import { testUnless } from '../harness/testUnless';
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

/** Of the captures in the agent's log: pages that were read from snapshots. */
const livePages = (): number[] =>
  [...stack.logs(400).matchAll(/"livePages":(\d+)/g)].map(([, pages]) => Number(pages));

const command = {
  'four threads': () => [compileVictim('series', stack.shared), '64', '200', '100', '4'],
  'a tree of processes': () => [compileVictim('tree', stack.shared), '600', '50', '/tmp/tree'],
};

test.each(['four threads', 'a tree of processes'] as const)('%s', async (title) => {
  const argv = command[title]();
  const expected = await undisturbed(stack, 'node1', argv);
  const name = title.replaceAll(' ', '-');
  const brake = new Brake(stack, name);
  const { id, output } = await submit(stack, { name, argv, nodes: ['node1'], env: brake.environment });
  await linesAtLeast(output, 10);
  const before = livePages().length;
  const programs = () =>
    stack
      .node('node1')
      .processes()
      .filter(({ argv: [program] }) => program === argv[0]).length;
  const alone = programs();
  const ids: number[] = [];
  for (let generation = 0; generation < 3; generation++) {
    ids.push(await checkpoint(stack, 'node1', id, ['--live', 'always']));
    await goesOn(output);
  }
  const live = livePages().slice(before);
  expect(live).toHaveLength(3);
  expect(Math.min(...live)).toBeGreaterThan(0);
  // The clones are gone with the checkpoint; zombies would be counted, too.
  expect(programs()).toBe(alone);
  await killJob(stack, 'node1', id);
  brake.release();
  for (const [ckptId, node] of [
    [ids[2], 'node1'],
    [ids[1], 'node2'],
  ] as const) {
    expectSurvival(stack, await restart(stack, ckptId ?? 0, [node]), output, expected);
    expect(readText(output)).toBe(expected.stdout);
  }
});

/** A control group (v1) with so much memory left for everything below the job's root. */
async function limitMemory(
  node: string,
  group: string,
  pids: readonly number[],
  leftMib: number,
): Promise<void> {
  const script = `
    mkdir "$0" && cd "$0" || exit 4
    limit=$1; shift
    for pid; do echo "$pid" > cgroup.procs; done
    echo $(($(cat memory.usage_in_bytes) + limit * 1048576)) > memory.limit_in_bytes`;
  const argv = ['sh', '-c', script, group, String(leftMib), ...pids.map(String)];
  const { code, stderr } = await stack.node(node).run(argv);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
}

const hasMemoryGroups = existsSync('/sys/fs/cgroup/memory/memory.limit_in_bytes');
const limited = testUnless(hasMemoryGroups ? null : 'this machine has no memory control groups of version 1');

limited(
  "a snapshot that the job's memory limit has no room for is given up, and the job runs on",
  async () => {
    const argv = [compileVictim('series', stack.shared), '64', '400', '50', '1'];
    const brake = new Brake(stack, 'limited');
    const { id, output } = await submit(stack, {
      name: 'limited',
      argv,
      nodes: ['node1'],
      env: brake.environment,
    });
    await linesAtLeast(output, 10);
    const ofJob = stack
      .node('node1')
      .processes()
      .filter((one) => one.argv[0] === argv[0]);
    const group = `/sys/fs/cgroup/memory/holdfast-test-${process.pid}`;
    try {
      const pids = ofJob.map(({ pid }) => pid);
      await limitMemory('node1', group, pids, 32);
      const refused = await stack.holdfast('node1', ['checkpoint', id, '--json', '--live', 'always']);
      expect(refused.stdout + refused.stderr).toContain('LIMIT_EXCEEDED');
      expect(refused.stdout + refused.stderr).toContain(`are left of the control group ${group}`);
      await goesOn(output);
      // Without a snapshot nothing of the job's memory is needed.
      await checkpoint(stack, 'node1', id, ['--live', 'never']);
      await goesOn(output);
    } finally {
      await killJob(stack, 'node1', id);
      await stack.node('node1').run(['rmdir', group]);
    }
  },
);
