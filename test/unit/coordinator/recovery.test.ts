/** A coordinator that dies at each of its fault points, and the one that comes after it; and one that is asked to stop. */
import { FAULT_POINTS, type FaultPoint } from '../../../core/faults';
import { decodeManifest, manifestKey } from '../../../core/manifest';
import { type Job, JobState, type Operation } from '../../../proto/gen/holdfast/v1/coordinator';
import { FakeCluster, type User } from './support/cluster';

let cluster: FakeCluster;
let user: User;
let job: Job;

afterEach(() => cluster.stop());

async function start(fault: FaultPoint | `${FaultPoint}:error`): Promise<void> {
  cluster = await FakeCluster.start(['n1', 'n2'], fault);
  for (const agent of cluster.agents.values()) agent.returns = true;
  user = cluster.user();
  job = await user.submit({ nodes: ['n1'] });
  await user.member(job.id, 'n2');
}

/** Asks for an operation that kills the coordinator; what its successor made of it. */
async function crashAndRecover(request: () => Promise<string>): Promise<Operation> {
  const operation = await request();
  expect(await cluster.died()).toBe('SIGKILL');
  await cluster.startProcess('');
  return user.ended(operation);
}

async function dataObjects(): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of cluster.store.list('jobs/')) keys.push(key);
  return keys;
}

const CHECKPOINT_FAULTS = FAULT_POINTS.filter((name) => name.startsWith('coordinator.checkpoint.'));
const COMMITTED: readonly FaultPoint[] = [
  'coordinator.checkpoint.before-commit',
  'coordinator.checkpoint.after-commit',
];

test.each(CHECKPOINT_FAULTS)('%s', async (fault) => {
  await start(fault);
  const operation = await crashAndRecover(() => user.requestCheckpoint(job.id));
  const key = manifestKey(job.id, 1);
  if (COMMITTED.includes(fault)) {
    expect(operation).toMatchObject({ phase: 'DONE', generation: 1, ckptId: 1 });
    const manifest = decodeManifest(await cluster.store.get(key), key);
    expect(manifest.header?.epoch).toBe(operation.epoch);
    expect(await dataObjects()).toHaveLength(2);
  } else {
    expect(operation).toMatchObject({ phase: 'ABORTED', error: { code: 'ABORTED' } });
    expect(await cluster.store.stat(key)).toBeNull();
    expect(await dataObjects()).toEqual([]);
    for (const agent of cluster.agents.values()) {
      expect(agent.commands('abort')[0]).toMatchObject({ job: job.id, epoch: operation.epoch });
    }
  }
  expect((await user.job(job.id)).state).toBe(JobState.RUNNING);
  const next = await user.checkpoint(job.id);
  expect(next).toMatchObject({ phase: 'DONE', generation: COMMITTED.includes(fault) ? 2 : 1 });
  expect(next.epoch).toBeGreaterThan(operation.epoch);
});

const RESTART_FAULTS = FAULT_POINTS.filter((name) => name.startsWith('coordinator.restart.'));

test.each(RESTART_FAULTS)('%s', async (fault) => {
  await start(fault);
  await user.checkpoint(job.id, true);
  const operation = await crashAndRecover(() => user.requestRestart(job.id));
  if (fault === 'coordinator.restart.plan') {
    // Nothing had been touched: the request is still good.
    expect(operation).toMatchObject({ phase: 'RUNNING' });
    expect(await user.job(job.id)).toMatchObject({ state: JobState.RUNNING, incarnation: 2 });
    return;
  }
  expect(operation).toMatchObject({ phase: 'ABORTED' });
  expect(await user.job(job.id)).toMatchObject({ state: JobState.STOPPED, trees: [], lastGeneration: 1 });
  for (const agent of cluster.agents.values()) expect(agent.trees.size).toBe(0);
  expect(await user.restart(job.id)).toMatchObject({ phase: 'RUNNING' });
  expect((await user.job(job.id)).incarnation).toBe(3);
});

test.each<[FaultPoint, string]>([
  ['coordinator.checkpoint.barrier', 'ABORTED'],
  ['coordinator.checkpoint.before-commit', 'ABORTED'],
  // It was written: an error after that changes nothing (C3).
  ['coordinator.checkpoint.after-commit', 'DONE'],
])('%s as an error: %s', async (fault, phase) => {
  await start(`${fault}:error`);
  expect(await user.checkpoint(job.id)).toMatchObject({ phase });
  expect((await cluster.store.stat(manifestKey(job.id, 1))) !== null).toBe(phase === 'DONE');
  expect(await dataObjects()).toHaveLength(phase === 'DONE' ? 2 : 0);
  expect((await user.job(job.id)).state).toBe(JobState.RUNNING);
});

test.each<FaultPoint>([
  'coordinator.restart.plan',
  'coordinator.restart.barrier',
  'coordinator.restart.resumed',
])('%s as an error: nothing runs, and it can be asked for again', async (fault) => {
  await start(`${fault}:error`);
  await user.checkpoint(job.id, true);
  for (let i = 0; i < 2; i++) {
    expect(await user.restart(job.id)).toMatchObject({ phase: 'ABORTED', error: { code: 'INJECTED_FAULT' } });
    expect(await user.job(job.id)).toMatchObject({ state: JobState.STOPPED, trees: [] });
    for (const agent of cluster.agents.values()) expect(agent.trees.size).toBe(0);
  }
});

test('asked to stop it ends at once: nothing keeps its process', async () => {
  cluster = await FakeCluster.apart(['n1'], {}, {}, () => {});
  user = cluster.user();
  job = await user.submit({ nodes: ['n1'] });
  expect(await user.checkpoint(job.id)).toMatchObject({ phase: 'DONE' });
  const askedMs = Date.now();
  cluster.terminate();
  expect(await cluster.died()).toBeNull();
  // What stands still may take five seconds; here all is quiet.
  expect(Date.now() - askedMs).toBeLessThan(4_000);
});
