/** A coordinator that dies at each fault point of a removal, and the one that comes after it. */
import { FAULT_POINTS } from '../../../../core/faults';
import { FakeCluster, type User } from '../support/cluster';
import { checkpoints, collect, differences, generationsOf, setPolicy } from '../support/collecting';

let cluster: FakeCluster;
let root: User;

afterEach(() => cluster.stop());

const GC_FAULTS = FAULT_POINTS.filter((name) => name.startsWith('coordinator.gc.'));

test.each(GC_FAULTS)('a crash at %s', async (fault) => {
  cluster = await FakeCluster.start(['n1', 'n2'], fault, { gcGraceMs: 0 });
  for (const agent of cluster.agents.values()) Object.assign(agent, { returns: true, olderPacks: 1 });
  root = cluster.user(0);
  const job = await root.submit({ nodes: ['n1'] });
  await root.member(job.id, 'n2');
  for (let i = 0; i < 3; i++) await root.checkpoint(job.id);
  await setPolicy(root, job.id, { keepLast: 1 });
  // Only the second run deletes objects: it is what the last point needs.
  const runs = async () => [await collect(root), await collect(root)];
  await expect(runs()).rejects.toMatchObject({ code: 'COORDINATOR_UNAVAILABLE' });
  expect(await cluster.died()).toBe('SIGKILL');
  expect((await differences(cluster.store)).missing).toEqual([]);
  expect(await generationsOf(cluster.store)).toContain(3);

  await cluster.startProcess('');
  expect((await root.job(job.id)).lastGeneration).toBe(3);
  for (let i = 0; i < 3; i++) await collect(root);
  expect(await generationsOf(cluster.store)).toEqual([3]);
  expect(await differences(cluster.store)).toEqual({ missing: [], garbage: [] });
  expect((await checkpoints(root)).map(({ generation }) => generation)).toEqual([3]);
  expect(await root.checkpoint(job.id)).toMatchObject({ phase: 'DONE', generation: 4 });
});
