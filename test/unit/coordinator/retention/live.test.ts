/** What a long series of generations leaves in the store, with real packs of the engine. */
import { decodeManifest, MANIFESTS_PREFIX } from '../../../../core/manifest';
import { KEEP_ALL } from '../../../../core/retention';
import type { TreeImage } from '../../../../proto/gen/holdfast/v1/manifest';
import { buildVictim } from '../../engine/victim';
import { FakeCluster } from '../support/cluster';
import { collect, differences, keysBelow, usage } from '../support/collecting';
import { EngineAgent, livePackBytes } from '../support/engineAgent';

const MIB = 2 ** 20;
const MEMORY_MIB = 16;
const GENERATIONS = 40;
const KEPT = 3;

const program = buildVictim();
let cluster: FakeCluster;

afterAll(async () => {
  program.remove();
  await cluster.stop();
});

async function keptTrees(): Promise<TreeImage[]> {
  const keys = await keysBelow(cluster.store, MANIFESTS_PREFIX);
  const manifests = await Promise.all(
    keys.map(async (key) => decodeManifest(await cluster.store.get(key), key)),
  );
  return manifests.flatMap(({ nodes }) => nodes).flatMap(({ trees }) => trees);
}

async function storedBytes(): Promise<number> {
  let sum = 0;
  for await (const { sizeBytes } of cluster.store.list('jobs/')) sum += sizeBytes;
  return sum;
}

test('over a long series at least 60 % of the stored bytes are live after retention and collection', async () => {
  cluster = await FakeCluster.start(['n1'], undefined, { gcGraceMs: 0, leaseMs: 30_000 });
  const user = cluster.user();
  const victim = await program.start();
  await victim.ask(`big ${MEMORY_MIB}`, 'big');
  new EngineAgent(cluster, cluster.agent('n1'), victim);
  const job = await user.submit({ nodes: ['n1'], retention: { ...KEEP_ALL, keepLast: KEPT } });
  const shares: number[] = [];
  let largest = 0;
  for (let turn = 0; turn < GENERATIONS; turn++) {
    // A sixteenth of the pages, scattered over all of the memory.
    await victim.ask(`touch ${turn}`, 'touched');
    expect((await user.checkpoint(job.id)).phase).toBe('DONE');
    // One run condemns, the next one deletes.
    await collect(user);
    await collect(user);
    const stored = await storedBytes();
    shares.push((await livePackBytes(cluster, await keptTrees())) / stored);
    largest = Math.max(largest, stored);
  }
  expect(await keptTrees()).toHaveLength(KEPT);
  expect(await differences(cluster.store)).toEqual({ missing: [], garbage: [] });
  const [measured] = (await usage(user)).jobs;
  expect(measured?.liveBytes).toBe(measured?.storedBytes);
  console.log(
    `live share of ${GENERATIONS} generations: least ${Math.min(...shares).toFixed(3)}, last ${shares.at(-1)?.toFixed(3)}; ` +
      `largest store ${(largest / MIB).toFixed(1)} MiB for ${MEMORY_MIB} MiB of memory`,
  );
  expect(Math.min(...shares)).toBeGreaterThanOrEqual(0.6);
  // It does not grow with the series.
  expect(largest).toBeLessThan(3 * MEMORY_MIB * MIB);
}, 120_000);
