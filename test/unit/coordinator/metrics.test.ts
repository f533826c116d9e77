/** What is measured while jobs are checkpointed and nodes are lost, as a monitoring system sees it. */
import { setTimeout as delay } from 'node:timers/promises';
import { HoldfastError } from '../../../core/errors';
import { JobState } from '../../../proto/gen/holdfast/v1/coordinator';
import { RestartPolicy } from '../../../proto/gen/holdfast/v1/manifest';
import { FakeCluster, type User } from './support/cluster';
import { collect, remove, setPolicy } from './support/collecting';
import { probe, type Scraped, scrape } from './support/scrape';

let cluster: FakeCluster;
let user: User;

beforeEach(async () => {
  cluster = await FakeCluster.watched(['n1', 'n2'], { metrics: '0' });
  user = cluster.user();
});

afterEach(() => cluster.stop());

const scraped = (): Promise<Scraped> => scrape(cluster.coordinator?.metricsAddress);

async function runningJob(): Promise<string> {
  const { id } = await user.submit({ nodes: ['n1'] });
  await user.member(id, 'n2');
  return id;
}

test('a checkpoint is in the metrics: its hold, its bytes, its phases, its commands and its outcome', async () => {
  const job = await runningJob();
  const before = await scraped();
  expect(before.value('holdfast_jobs', { state: 'running' })).toBe(1);
  expect(before.value('holdfast_checkpoint_hold_seconds_count')).toBe(0);
  expect(before.value('holdfast_operations_total', { kind: 'checkpoint' })).toBe(0);

  await user.checkpoint(job);
  const after = await scraped();
  expect(after.value('holdfast_checkpoint_hold_seconds_count')).toBe(1);
  expect(after.value('holdfast_checkpoint_hold_seconds_sum')).toBeCloseTo(0.007);
  expect(after.value('holdfast_checkpoint_seconds_count')).toBe(1);
  expect(after.value('holdfast_uploaded_bytes_total')).toBe(10);
  expect(after.value('holdfast_captured_bytes_total')).toBe(8192);
  expect(after.value('holdfast_operations_total', { kind: 'checkpoint', outcome: 'ok' })).toBe(1);
  for (const phase of ['QUEUED', 'PREPARE', 'CAPTURE', 'RELEASE', 'UPLOAD', 'COMMIT']) {
    expect(after.value('holdfast_operation_phase_seconds_count', { kind: 'checkpoint', phase })).toBe(1);
  }
  expect(after.value('holdfast_command_seconds_count', { command: 'capture', outcome: 'ok' })).toBe(2);
  expect(after.value('holdfast_store_request_seconds_count', { request: 'putIfAbsent' })).toBeGreaterThan(0);
  expect(after.value('holdfast_operations_open', { kind: 'checkpoint' })).toBe(0);
});

test('a checkpoint that fails counts with its error, and what waits and works is seen meanwhile', async () => {
  const job = await runningJob();
  const during: Scraped[] = [];
  cluster.agent('n2').overrides.set('capture', async () => {
    during.push(await scraped());
    throw new HoldfastError('CRIU_FAILED', 'cannot dump');
  });
  const first = await user.requestCheckpoint(job);
  await user.requestCheckpoint(job);
  expect(await user.ended(first)).toMatchObject({ phase: 'ABORTED' });
  expect(during[0]?.value('holdfast_operations_open', { kind: 'checkpoint', phase: 'CAPTURE' })).toBe(1);
  expect(during[0]?.value('holdfast_queue_length', { queue: 'checkpoint' })).toBe(1);
  const after = await scraped();
  expect(after.value('holdfast_operations_total', { outcome: 'CRIU_FAILED' })).toBeGreaterThanOrEqual(1);
  expect(after.value('holdfast_checkpoint_hold_seconds_count')).toBe(0);
  expect(after.value('holdfast_command_seconds_count', { command: 'capture', outcome: 'CRIU_FAILED' })).toBe(
    during.length,
  );
});

test('what cannot be counted is no failure of the checkpoint', async () => {
  const job = await runningJob();
  cluster.agent('n1').overrides.set('upload', async (command) => {
    const body = await cluster.agent('n1').perform(command);
    if (body?.$case !== 'uploaded') throw new Error('not uploaded');
    return { ...body, value: { ...body.value, uploadedBytes: -1_000_000 } };
  });
  expect(await user.checkpoint(job)).toMatchObject({ phase: 'DONE' });
  expect((await scraped()).value('holdfast_checkpoint_hold_seconds_count')).toBe(1);
});

test('what is removed, condemned and deleted is counted, by who wanted it', async () => {
  await cluster.stop();
  cluster = await FakeCluster.watched(['n1', 'n2'], { metrics: '0', gcGraceMs: 0 });
  user = cluster.user();
  const job = await runningJob();
  for (let i = 0; i < 3; i++) await user.checkpoint(job);
  await remove(user, 1);
  await setPolicy(user, job, { keepLast: 1 });
  // The first run condemns, the second deletes.
  for (let i = 0; i < 2; i++) await collect(user);
  const after = await scraped();
  expect(after.value('holdfast_generations_removed_total', { cause: 'request' })).toBe(1);
  expect(after.value('holdfast_generations_removed_total', { cause: 'policy' })).toBe(1);
  expect(after.value('holdfast_garbage_deleted_objects_total')).toBeGreaterThan(0);
  expect(after.value('holdfast_garbage_deleted_bytes_total')).toBe(
    after.value('holdfast_garbage_condemned_bytes_total'),
  );
  expect(after.value('holdfast_sweeps_total', { outcome: 'ok' })).toBeGreaterThanOrEqual(2);
  expect(after.value('holdfast_sweep_seconds_count')).toBe(after.value('holdfast_sweeps_total'));
});

test('what waits to be let in is seen', async () => {
  await cluster.stop();
  cluster = await FakeCluster.watched(['n1', 'n2'], { metrics: '0', maxCheckpoints: 1 });
  user = cluster.user();
  const [first, second] = [await user.submit({ nodes: ['n1'] }), await user.submit({ nodes: ['n2'] })];
  const during: Scraped[] = [];
  cluster.agent('n1').overrides.set('capture', async (command) => {
    const waiting = await user.requestCheckpoint(second.id);
    while (!(await scraped()).value('holdfast_checkpoints_waiting')) await delay(10);
    during.push(await scraped());
    later.push(waiting);
    return cluster.agent('n1').perform(command);
  });
  const later: string[] = [];
  await user.checkpoint(first.id);
  expect(during[0]?.value('holdfast_checkpoints_admitted')).toBe(1);
  expect(await user.ended(later[0] ?? '')).toMatchObject({ phase: 'DONE' });
});

test('ticks of a schedule are counted', async () => {
  const { id } = await user.submit({ nodes: ['n1'], intervalMs: 1000 });
  // The first tick is over when the second one has committed.
  await user.untilJob(id, ({ lastGeneration }) => lastGeneration >= 2);
  const after = await scraped();
  expect(after.value('holdfast_schedule_ticks_total', { outcome: 'started' })).toBeGreaterThanOrEqual(1);
  expect(after.value('holdfast_schedule_tick_delay_seconds_count')).toBeGreaterThanOrEqual(1);
});

test('nodes are counted by state, and the end of a lease is counted', async () => {
  const { id } = await user.submit({ nodes: ['n2'] });
  expect((await scraped()).value('holdfast_nodes', { state: 'connected' })).toBe(2);
  cluster.agent('n2').vanish();
  await user.until(id, JobState.LOST);
  const after = await scraped();
  expect(after.value('holdfast_nodes', { state: 'connected' })).toBe(1);
  expect(after.value('holdfast_nodes', { state: 'lost' })).toBe(1);
  expect(after.value('holdfast_lease_losses_total')).toBe(1);
});

test('a policy changes while the coordinator runs, what is not valid changes nothing', async () => {
  const { id } = await user.submit({
    nodes: ['n2'],
    restartPolicy: RestartPolicy.SAME_NODES,
    maxRestarts: 3,
  });
  await user.checkpoint(id);
  const next = { ...cluster.options(), restartWaitMs: 0 };
  expect(() => cluster.coordinator?.reload({ ...next, leaseMs: 1 })).toThrow(/coordinator setting lease/);
  cluster.coordinator?.reload(next);
  cluster.agent('n2').vanish();
  // By default the restart would wait ten minutes for the node.
  expect((await user.until(id, JobState.LOST)).reason).toMatch(/n2/);
});

test('health, readiness and the process itself', async () => {
  const address = cluster.coordinator?.metricsAddress;
  expect(address).toMatch(/^127\.0\.0\.1:\d+$/);
  expect(await probe(address, '/healthz')).toEqual([200, 'ok\n']);
  expect(await probe(address, '/readyz')).toEqual([200, 'ready\n']);
  expect((await probe(address, '/')).at(0)).toBe(404);
  expect((await fetch(`http://${address}/metrics`, { method: 'POST' })).status).toBe(405);
  const metrics = await scraped();
  expect(metrics.value('process_resident_memory_bytes')).toBeGreaterThan(1e6);
  expect(metrics.value('holdfast_build_info')).toBe(1);
});

test('without an address nothing is served', async () => {
  const plain = await FakeCluster.start([]);
  expect(plain.coordinator?.metricsAddress).toBeUndefined();
  await plain.stop();
});
