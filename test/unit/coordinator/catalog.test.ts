/** The store is the truth: what comes back after a loss of Redis (C4). */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { HoldfastError } from '../../../core/errors';
import { manifestKey } from '../../../core/manifest';
import { invoke } from '../../../core/rpc/handlers';
import { type Job, JobState } from '../../../proto/gen/holdfast/v1/coordinator';
import { FakeCluster, type User } from './support/cluster';
import { loseObjects } from './support/collecting';

let cluster: FakeCluster;
let user: User;
let job: Job;

beforeEach(async () => {
  cluster = await FakeCluster.start(['n1', 'n2']);
  for (const agent of cluster.agents.values()) agent.returns = true;
  user = cluster.user();
  job = await user.submit({ nodes: ['n1'] });
  await user.member(job.id, 'n2');
});

afterEach(() => cluster.stop());

async function loseRedis(): Promise<void> {
  await cluster.stopCoordinator();
  await rm(join(cluster.directory, 'state'), { recursive: true });
  await cluster.startCoordinator();
  // The nodes are lost with the state: nobody waits for them but this test.
  const agents = [...cluster.agents.values()];
  while (agents.some(({ registrations }) => registrations < 2)) {
    await new Promise((resolve) => setTimeout(resolve, 10).unref());
  }
}

const checkpoints = async (caller = user, of = '') =>
  (await invoke(caller.client, caller.client.listCheckpoints, { job: of }, { metadata: caller.metadata }))
    .checkpoints;

test('jobs and checkpoints are found again, and no id is given twice', async () => {
  await user.checkpoint(job.id);
  const last = await user.checkpoint(job.id, true);
  const before = await checkpoints();
  await loseRedis();
  const after = await checkpoints();
  expect(after.map(({ ckptId, generation }) => [ckptId, generation])).toEqual([
    [1, 1],
    [2, 2],
  ]);
  expect(after[1]).toMatchObject({ taskCount: 2, capturedBytes: before[1]?.capturedBytes, uid: 1000 });
  expect(await user.job(job.id)).toMatchObject({ state: JobState.STOPPED, lastGeneration: 2 });
  const restart = await user.restart(job.id);
  expect(restart).toMatchObject({ phase: 'RUNNING', generation: 2 });
  expect(restart.epoch).toBeGreaterThan(last.epoch);
  expect(await user.checkpoint(job.id)).toMatchObject({ phase: 'DONE', ckptId: 33, generation: 3 });
  expect(await user.member(job.id, 'n2')).toBe(0);
  expect((await user.job(job.id)).trees.map(({ treeId }) => treeId)).toEqual(['main', 'm1', 'm2']);
});

test('a job that still runs is known again by its trees', async () => {
  await user.checkpoint(job.id);
  await loseRedis();
  const now = await user.job(job.id);
  expect(now).toMatchObject({ state: JobState.RUNNING, incarnation: 1 });
  expect(now.trees.map(({ treeId }) => treeId).sort()).toEqual(['m1', 'main']);
  expect(await user.checkpoint(job.id)).toMatchObject({ phase: 'DONE', ckptId: 33, generation: 2 });
});

test('quarantine and deadlines are found again: those of the commit, and those that were set later', async () => {
  const kept = await user.submit({ nodes: ['n1'], walltimeMs: 7_200_000 });
  const moved = await user.submit({ nodes: ['n2'], walltimeMs: 7_200_000 });
  for (const { id } of [kept, moved, job]) await user.checkpoint(id);
  await user.checkpoint(job.id, true);
  const deadlineMs = moved.deadlineMs + 3_600_000;
  const { client, metadata } = user;
  await invoke(client, client.changeDeadline, { job: moved.id, deadlineMs }, { metadata });
  await loseObjects(cluster.store, job.id, 2);
  for (const agent of cluster.agents.values())
    agent.overrides.set('stage', (command) => {
      if (command.generation === 2) throw new HoldfastError('CORRUPT', 'another checksum');
      return agent.perform(command);
    });
  expect(await user.restart(job.id)).toMatchObject({ phase: 'ABORTED', generation: 2 });

  await loseRedis();
  expect((await user.job(kept.id)).deadlineMs).toBe(kept.deadlineMs);
  expect((await user.job(moved.id)).deadlineMs).toBe(deadlineMs);
  expect(await checkpoints(user, job.id)).toMatchObject([
    { generation: 1, quarantine: '' },
    { generation: 2, quarantine: expect.stringContaining('CORRUPT') },
  ]);
  expect(await user.restart(job.id)).toMatchObject({ phase: 'RUNNING', generation: 1 });
  // Good again, or removed: nothing of a verdict stays behind.
  await user.checkpoint(job.id);
  await invoke(client, client.removeCheckpoint, { ckptId: 4 }, { metadata });
  const notes: string[] = [];
  for await (const { key } of cluster.store.list('quarantine/')) notes.push(key);
  expect(notes).toEqual([]);
});

test('a coordinator that only stops and starts keeps everything', async () => {
  await user.checkpoint(job.id);
  await cluster.stopCoordinator();
  await cluster.startCoordinator();
  expect(await user.checkpoint(job.id)).toMatchObject({ phase: 'DONE', ckptId: 2, generation: 2 });
  expect((await user.job(job.id)).trees).toHaveLength(2);
});

test('one job has its own checkpoints: what is added, what is removed, and what was there before the start', async () => {
  const other = await user.submit({ nodes: ['n2'] });
  for (const id of [job.id, other.id, job.id]) await user.checkpoint(id);
  const listed = async (id: string) => (await checkpoints(user, id)).map(({ ckptId }) => ckptId);
  expect([await listed(job.id), await listed(other.id)]).toEqual([[1, 3], [2]]);
  await cluster.stopCoordinator();
  await cluster.startCoordinator();
  expect([await listed(job.id), await listed(other.id)]).toEqual([[1, 3], [2]]);
  await invoke(user.client, user.client.removeCheckpoint, { ckptId: 1 }, { metadata: user.metadata });
  expect([await listed(job.id), await listed('j-000000000000')]).toEqual([[3], []]);
});

test('a manifest is shown to its owner only', async () => {
  await user.checkpoint(job.id);
  const get = (caller: User, ckptId: number) =>
    invoke(caller.client, caller.client.getCheckpoint, { ckptId }, { metadata: caller.metadata });
  const { manifest, summary } = await get(user, 1);
  expect(manifest?.header).toMatchObject({ job: job.id, generation: 1, ckptId: 1 });
  expect(summary).toMatchObject({ ckptId: 1, nodes: ['n1', 'n2'] });
  const other = cluster.user(1001);
  await expect(get(other, 1)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  await expect(get(user, 9)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect(await checkpoints(other)).toEqual([]);
});

test('a damaged manifest is named, and the others are still found', async () => {
  await user.checkpoint(job.id);
  await user.checkpoint(job.id);
  await cluster.store.put(
    manifestKey(job.id, 1),
    Buffer.from('{"format": "holdfast-manifest", "version": 1}'),
  );
  const root = cluster.user(0);
  const { metadata } = root;
  expect(await invoke(root.client, root.client.rebuildCatalog, {}, { metadata })).toMatchObject({
    checkpoints: 1,
  });
  const get = invoke(user.client, user.client.getCheckpoint, { ckptId: 1 }, { metadata: user.metadata });
  await expect(get).rejects.toMatchObject({ code: 'CORRUPT', message: expect.stringContaining('no header') });
});
