/** Shared memory without a file: in the packs once and by what changed, and right after a restart. */
import { join } from 'node:path';
import type { TreeImage } from '../../proto/gen/holdfast/v1/manifest';
import { openStore } from '../../store/open';
import { readText, Stack } from '../harness/stack';
import { compileVictim } from '../harness/victims';
import { manifestsOf } from './generations';
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
const MIB = 2 ** 20;
const SEGMENT_MIB = 4;
/** Anonymous, memfd, the child's, and the one of which each process maps a half. */
const OURS = 4 * SEGMENT_MIB * MIB;
/** Of System V, and one without a writable map. */
const OF_CRIU = 2 * SEGMENT_MIB * MIB;

let stack: Stack;
let leftovers: Leftovers;

beforeAll(async () => {
  stack = await Stack.start({ nodes: NODES, store: 'directory' });
  leftovers = new Leftovers(stack, NODES);
});
afterEach(() => leftovers.none());
afterAll(() => stack?.stop());

const bytesOf = (objects: readonly { sizeBytes: number }[]): number =>
  objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);

/** Of the only tree, by generation. */
async function trees(job: string): Promise<TreeImage[]> {
  const manifests = await manifestsOf(openStore(`file://${join(stack.directory, 'store')}`), job);
  return manifests.flatMap(({ nodes }) => nodes.flatMap((node) => node.trees));
}

test('what two processes share is stored once, then by its changes, and is right after a restart', async () => {
  const argv = [compileVictim('shared', stack.shared), '400', '50', String(SEGMENT_MIB)];
  const expected = await undisturbed(stack, 'node1', argv);
  expect(expected.code).toBe(0);

  const brake = new Brake(stack, 'shared');
  const { id, output } = await submit(stack, {
    name: 'shared',
    argv,
    nodes: ['node1'],
    env: brake.environment,
  });
  await linesAtLeast(output, 10);
  await checkpoint(stack, 'node1', id);
  await goesOn(output);
  await checkpoint(stack, 'node1', id);
  await goesOn(output);

  const [first, second] = await trees(id);
  if (!first || !second) throw new Error('two checkpoints, but not two generations');
  const known = new Set(first.packs.map(({ key }) => key));
  const added = second.packs.filter(({ key }) => !known.has(key));
  console.log(
    `images ${bytesOf(first.images?.segments ?? [])}, packs ${bytesOf(first.packs)}, then ${bytesOf(added)} bytes`,
  );
  expect(bytesOf(first.images?.segments ?? [])).toBeLessThan(OF_CRIU + MIB);
  expect(bytesOf(first.packs)).toBeGreaterThan(OURS);
  expect(bytesOf(first.packs)).toBeLessThan(OURS + 2 * MIB);
  expect(bytesOf(added)).toBeLessThan(OURS / 8);

  await killJob(stack, 'node1', id);
  brake.release();
  for (const [node, flags] of [
    ['node1', []],
    ['node2', ['--lazy']],
  ] as const) {
    const ended = await restart(stack, id, [node], flags);
    expectSurvival(stack, ended, output, expected);
    expect(readText(output)).toBe(expected.stdout);
  }
});
