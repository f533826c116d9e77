/** What sweeps do when something changes, or contradicts itself, between a decision and what is done. */
import { summaryOf } from '../../../../coordinator/catalog/rebuild';
import type { Context } from '../../../../coordinator/context';
import { collect } from '../../../../coordinator/retention/collect';
import { encodeManifest, generationPrefix, manifestKey } from '../../../../core/manifest';
import { KEEP_ALL } from '../../../../core/retention';
import { Job, JobState } from '../../../../proto/gen/holdfast/v1/coordinator';
import { Manifest, type RetentionPolicy } from '../../../../proto/gen/holdfast/v1/manifest';
import { MemoryStore } from '../../../contract/memoryStore';
import { differences, generationsOf } from '../support/collecting';
import { FACTS } from '../support/generation';
import { ManualClock } from '../support/manualClock';
import { memoryContext } from './memoryContext';
import { MemoryRedis } from './memoryRedis';

const JOB = 'j-abcdefghjkmn';
const GRACE_MS = 1000;

let store: MemoryStore;
let clock: ManualClock;
let context: Context;

beforeEach(async () => {
  store = new MemoryStore();
  clock = new ManualClock();
  context = await memoryContext(new MemoryRedis().client(), store, clock, GRACE_MS);
  for (const generation of [1, 2, 3]) await commit(generation);
});

async function policy(rules: Partial<RetentionPolicy>): Promise<void> {
  const spec = { uid: 1000, retention: { ...KEEP_ALL, ...rules } };
  const job = { id: JOB, state: JobState.RUNNING, spec, lastGeneration: 3 };
  await context.jobs.put(Job.fromPartial(job));
}

/** Each with objects of its own only. */
async function commit(generation: number): Promise<void> {
  const prefix = `${generationPrefix(JOB, generation, generation)}/n1/main`;
  const [index, pack] = ['index', 'pack-00001'].map((name) => ({
    ...{ key: `${prefix}/${name}`, sizeBytes: 5, sha256: 'ab'.repeat(32) },
  }));
  if (index === undefined || pack === undefined) throw new Error('no object');
  for (const { key } of [index, pack]) await store.put(key, Buffer.from('pages'));
  const tree = {
    ...{ treeId: 'main', main: true, rootPid: 2, index, packs: [pack] },
    tasks: [{ pid: 2, parentPid: 1, threadCount: 1, comm: 'work' }],
  };
  const manifest = Manifest.fromPartial({
    ...{ format: 'holdfast-manifest', version: 1 },
    header: { ckptId: generation, job: JOB, generation, epoch: generation, spec: { argv: ['work'] } },
    nodes: [{ node: 'n1', facts: FACTS, trees: [tree] }],
    tail: { nodeCount: 1, treeCount: 1, taskCount: 1 },
  });
  await store.putIfAbsent(manifestKey(JOB, generation), encodeManifest(manifest));
  await context.catalog.add(summaryOf(manifest));
}

const unharmed = async () => {
  expect((await differences(store)).missing).toEqual([]);
  return generationsOf(store);
};

test('an export that begins after the decision keeps its generation whole, however many do', async () => {
  await policy({ keepLast: 1 });
  const removed = store.delete.bind(store);
  for (let run = 0; run < 3; run++) {
    // It begins while the manifest of the first is deleted, and is over before the next sweep.
    let stop = () => {};
    store.delete = async (key) => {
      if (key === manifestKey(JOB, 1)) stop = context.transfers.exporting(JOB, 2);
      await removed(key);
    };
    // Each time there is one before it that goes.
    if (run > 0) await commit(1);
    await collect(context, JOB);
    stop();
    expect(await unharmed()).toEqual([2, 3]);
    clock.advance(GRACE_MS);
  }
  await collect(context, JOB);
  expect(await unharmed()).toEqual([3]);
});

test('a generation that the store has, and does not list, is not taken for one that was removed', async () => {
  await policy({ keepLast: 3 });
  const { list } = store;
  store.list = async function* (prefix) {
    for await (const info of list.call(store, prefix)) if (info.key !== manifestKey(JOB, 2)) yield info;
  };
  for (let run = 0; run < 2; run++) {
    expect(await collect(context, JOB)).toMatchObject({
      decided: {
        sweep: null,
        damage: ['generation 2 cannot be read: the store has its manifest, but does not list it'],
      },
    });
    clock.advance(GRACE_MS);
  }
  store.list = list;
  await collect(context, JOB);
  expect(await unharmed()).toEqual([1, 2, 3]);
  expect(await context.catalog.list(JOB)).toHaveLength(3);
});

test('beside a manifest that cannot be read no other generation is removed', async () => {
  await policy({ keepLast: 1 });
  await store.put(manifestKey(JOB, 2), Buffer.from('{'));
  const outcome = await collect(context, JOB);
  expect(outcome).toMatchObject({
    decided: { decisions: [1, 3].map((generation) => ({ generation: { generation }, kept: true })) },
  });
  expect(store.objects.has(manifestKey(JOB, 1))).toBe(true);
});

test('while garbage is deleted nobody waits for the job’s lock', async () => {
  await policy({ keepLast: 1 });
  await collect(context, JOB);
  clock.advance(GRACE_MS);
  const remove = store.delete.bind(store);
  const isFree: boolean[] = [];
  store.delete = async (key) => {
    isFree.push(!context.locks.isBusy(JOB));
    await remove(key);
  };
  await collect(context, JOB);
  expect(isFree).toEqual([true, true, true, true]);
  expect(await differences(store)).toEqual({ missing: [], garbage: [] });
});
