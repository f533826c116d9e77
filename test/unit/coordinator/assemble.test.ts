/** One manifest from what the nodes captured. */
import { mkdtemp, rm } from 'node:fs/promises';
import { jobFrom } from '../../../coordinator/catalog/rebuild';
import { type AssembleInput, assembleManifest } from '../../../coordinator/checkpoint/assemble';
import type { Manifest } from '../../../proto/gen/holdfast/v1/manifest';
import { openStore } from '../../../store/open';
import { storeGeneration } from './support/generation';

let directory: string;
let stored: Manifest;

beforeAll(async () => {
  directory = await mkdtemp('/tmp/hf-');
  const store = openStore(`file://${directory}`);
  await store.open();
  stored = await storeGeneration(store);
  await store.close();
});

afterAll(() => rm(directory, { recursive: true }));

/** @param answered the nodes in the order in which their parts came */
function inputOf(answered: string[], trees = [tree('main', 'n1'), tree('m1', 'n2')]): AssembleInput {
  const byNode = new Map(stored.nodes.map((part) => [part.node, part]));
  const parts = new Map(answered.flatMap((node) => [[node, byNode.get(node) ?? fail(node)] as const]));
  const job = { ...jobFrom(stored, 'j-abcdefghjkmn', ''), trees };
  return { job, ckptId: 17, generation: 3, epoch: 93, createdMs: 1, version: '0.1.0', parts, trees };
}

const tree = (treeId: string, node: string) => ({ treeId, node, rootPid: 2, main: treeId === 'main' });

function fail(node: string): never {
  throw new Error(`no part of ${node}`);
}

const nodesOf = ({ nodes }: Manifest) => nodes.map(({ node }) => node);

test('the nodes are named as the job names them, whoever answered first', () => {
  expect(nodesOf(assembleManifest(inputOf(['n2', 'n1'])))).toEqual(['n1', 'n2']);
  expect(nodesOf(assembleManifest(inputOf(['n1', 'n2'])))).toEqual(['n1', 'n2']);
});

test('a part of a node that has no tree on record any more comes last', () => {
  expect(nodesOf(assembleManifest(inputOf(['n2', 'n1'], [tree('main', 'n1')])))).toEqual(['n1', 'n2']);
  expect(nodesOf(assembleManifest(inputOf(['n1', 'n2'], [tree('m1', 'n2')])))).toEqual(['n2', 'n1']);
});

test('a tree that was not captured, and is still there, makes no generation', () => {
  expect(() => assembleManifest(inputOf(['n1']))).toThrow('tree m1 on node n2 was not captured');
});
