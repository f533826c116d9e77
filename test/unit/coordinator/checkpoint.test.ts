/** Checkpoints from request to manifest, with agents that answer, fail and vanish. */
import { HoldfastError } from '../../../core/errors';
import { decodeManifest, manifestKey } from '../../../core/manifest';
import type { Command } from '../../../proto/gen/holdfast/v1/agent';
import { type Job, JobState } from '../../../proto/gen/holdfast/v1/coordinator';
import { FakeCluster, type User } from './support/cluster';
import { FakeAgent } from './support/fakeAgent';

let cluster: FakeCluster;
let user: User;
let job: Job;

beforeEach(async () => {
  cluster = await FakeCluster.start(['n1', 'n2']);
  user = cluster.user();
  job = await user.submit({ nodes: ['n1'] });
  await user.member(job.id, 'n2');
});

afterEach(() => cluster.stop());

const agent = (name: string) => cluster.agent(name);

async function objects(): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of cluster.store.list('')) if (key.includes('/')) keys.push(key);
  return keys;
}

test('a checkpoint of two nodes is committed once all have uploaded', async () => {
  const operation = await user.checkpoint(job.id);
  expect(operation).toMatchObject({ phase: 'DONE', generation: 1, ckptId: 1, error: undefined });
  expect(operation.summary).toMatchObject({ nodes: ['n1', 'n2'], taskCount: 2, heldMs: 7, uid: 1000 });
  expect(agent('n2').kinds()).toEqual(['launch', 'prepare', 'capture', 'release', 'upload']);
  const key = manifestKey(job.id, 1);
  const manifest = decodeManifest(await cluster.store.get(key), key);
  expect(manifest.header).toMatchObject({ ckptId: 1, epoch: operation.epoch, job: job.id });
  expect(manifest.nodes.map(({ node }) => node)).toEqual(['n1', 'n2']);
  expect((await user.job(job.id)).lastGeneration).toBe(1);
  const second = await user.checkpoint(job.id);
  expect(second).toMatchObject({ phase: 'DONE', generation: 2, ckptId: 2 });
  expect(second.epoch).toBeGreaterThan(operation.epoch);
});

test('the preflight knows the addresses of all nodes of the job', async () => {
  await user.checkpoint(job.id);
  for (const node of ['n1', 'n2']) {
    const value = { peerAddresses: ['10.0.0.1', '10.0.0.2'] };
    expect(agent(node).commands('prepare')).toMatchObject([{ body: { value } }]);
  }
});

test('no node is released before every node has captured (B1)', async () => {
  const order: string[] = [];
  let letGo: () => void = () => {};
  const gate = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  agent('n1').onCommand = ({ body }) => order.push(`n1 ${body?.$case}`);
  agent('n2').overrides.set('capture', async (command) => {
    await gate;
    order.push('n2 captured');
    return agent('n2').perform(command);
  });
  agent('n2').overrides.set('prepare', (command) => {
    // n1 has long captured when this timer ends: it must still be held.
    setTimeout(letGo, 150);
    return agent('n2').perform(command);
  });
  expect((await user.checkpoint(job.id)).phase).toBe('DONE');
  expect(order.indexOf('n1 release')).toBeGreaterThan(order.indexOf('n2 captured'));
  expect(order.indexOf('n1 capture')).toBeLessThan(order.indexOf('n2 captured'));
});

test('stop ends the job restartably', async () => {
  expect(await user.checkpoint(job.id, true)).toMatchObject({ phase: 'DONE' });
  expect(await user.job(job.id)).toMatchObject({ state: JobState.STOPPED, trees: [], lastGeneration: 1 });
  expect(agent('n1').commands('release')[0]?.body?.value).toMatchObject({ kill: true });
});

test('a stop that fails after the job was ended leaves it restartable from the generation before', async () => {
  await user.checkpoint(job.id);
  agent('n2').overrides.set('upload', () => {
    throw new HoldfastError('STORE_UNAVAILABLE', 'the store is gone');
  });
  expect(await user.checkpoint(job.id, true)).toMatchObject({ phase: 'ABORTED' });
  const now = await user.job(job.id);
  expect(now).toMatchObject({ state: JobState.STOPPED, lastGeneration: 1 });
  expect(now.reason).toBe(
    'its processes were ended for a checkpoint with stop, but generation 2 was not stored ' +
      '(node n2: the store is gone); what it did since generation 1 is lost',
  );
});

test('a stop that fails after the job was ended, without an older generation, says that its work is lost', async () => {
  agent('n2').overrides.set('upload', () => {
    throw new HoldfastError('STORE_UNAVAILABLE', 'the store is gone');
  });
  await user.checkpoint(job.id, true);
  const now = await user.job(job.id);
  expect(now).toMatchObject({ state: JobState.FAILED, lastGeneration: 0 });
  expect(now.reason).toMatch(/generation 1 was not stored .*no older generation: its work is lost$/);
});

test('a blocker found by the preflight freezes nothing and is reported with its node', async () => {
  const finding = {
    pid: 7,
    fd: 3,
    object: 'io_uring',
    problem: 'cannot be saved',
    remedy: 'disable it',
    node: '',
  };
  agent('n2').overrides.set('prepare', () => ({
    $case: 'prepared',
    value: { blockers: [finding], advice: [] },
  }));
  const operation = await user.checkpoint(job.id);
  expect(operation).toMatchObject({ phase: 'ABORTED', error: { code: 'NOT_CAPTURABLE' } });
  expect(operation.findings).toMatchObject([{ ...finding, node: 'n2' }]);
  expect([...agent('n1').kinds(), ...agent('n2').kinds()]).not.toContain('capture');
});

const PHASES = ['prepare', 'capture', 'release', 'upload'] as const;

test.each(PHASES)('an error of one node in %s aborts all, and leaves nothing', async (kind) => {
  agent('n2').overrides.set(kind, () => {
    throw new HoldfastError('CRIU_FAILED', 'criu said no', 'read its log');
  });
  const operation = await user.checkpoint(job.id);
  expect(operation).toMatchObject({
    phase: 'ABORTED',
    error: { code: 'CRIU_FAILED', message: 'node n2: criu said no', remedy: 'read its log' },
  });
  for (const node of ['n1', 'n2']) {
    const [abort] = agent(node).commands('abort');
    expect(abort).toMatchObject({ job: job.id, epoch: operation.epoch });
  }
  expect(await objects()).toEqual([]);
  expect((await user.job(job.id)).state).toBe(JobState.RUNNING);
  agent('n2').overrides.clear();
  expect(await user.checkpoint(job.id)).toMatchObject({ phase: 'DONE', generation: 1 });
});

test.each(PHASES)('a node that vanishes in %s aborts all, and is named', async (kind) => {
  agent('n2').onCommand = ({ body }: Command) => {
    if (body?.$case === kind) agent('n2').vanish();
  };
  const operation = await user.checkpoint(job.id);
  expect(operation).toMatchObject({ phase: 'ABORTED', error: { code: 'NODE_LOST' } });
  expect(operation.error?.message).toContain('n2');
  expect(agent('n1').commands('abort')).toHaveLength(1);
  expect(await objects()).toEqual([]);
  expect(await user.until(job.id, JobState.LOST)).toMatchObject({ lastGeneration: 0 });
});

function prefixOf(node: string): string {
  const body = agent(node).commands('prepare').at(-1)?.body;
  if (body?.$case !== 'prepare') throw new Error(`${node} prepared nothing`);
  return body.value.keyPrefix;
}

async function isGone(key: string): Promise<void> {
  while ((await cluster.store.stat(key)) !== null) await pause();
}

test('what a lost node wrote after the abort goes when it is back and writes no more', async () => {
  agent('n2').overrides.set('capture', () => {
    agent('n2').disconnect();
    return FakeAgent.hang();
  });
  expect(await user.checkpoint(job.id)).toMatchObject({ phase: 'ABORTED', error: { code: 'NODE_LOST' } });
  const late = `${prefixOf('n2')}/n2/m1/pack-00009`;
  let wasWritten = false;
  agent('n2').overrides.set('abort', async (command) => {
    // Its last one was under way.
    await cluster.store.put(late, Buffer.from('late'));
    wasWritten = true;
    return agent('n2').perform(command);
  });
  await cluster.store.put(`${prefixOf('n2')}/n2/m1/pack-00008`, Buffer.from('late'));
  await agent('n2').connect();
  await until(() => wasWritten);
  while ((await objects()).length > 0) await pause();
  // It has answered: it is not asked again.
  agent('n2').disconnect();
  await agent('n2').connect();
  await user.nodes();
  expect(agent('n2').commands('abort')).toHaveLength(1);
});

test('what a node wrote that could not abort goes at the next start', async () => {
  const [n1, n2] = [agent('n1'), agent('n2')];
  n1.returns = true;
  n2.overrides.set('upload', () => {
    throw new HoldfastError('STORE_UNAVAILABLE', 'the store is gone');
  });
  n2.overrides.set('abort', () => {
    throw new HoldfastError('INTERNAL', 'it does not end');
  });
  expect(await user.checkpoint(job.id)).toMatchObject({ phase: 'ABORTED' });
  const late = `${prefixOf('n2')}/n2/m1/pack-00009`;
  await cluster.store.put(late, Buffer.from('late'));
  n2.disconnect();
  await cluster.stopCoordinator();
  await cluster.startCoordinator();
  await isGone(late);
  // It has not answered yet, and a restart of the coordinator does not forget that.
  n2.overrides.delete('abort');
  const later = `${prefixOf('n2')}/n2/m1/pack-00010`;
  await cluster.store.put(later, Buffer.from('late'));
  // Its first attempts may meet a channel that still waits after the last refusal.
  n2.returns = true;
  n2.connect().catch(() => {});
  await isGone(later);
});

test('a node that is gone for less than its lease answers after its return', async () => {
  agent('n2').overrides.set('capture', async (command) => {
    agent('n2').disconnect();
    await agent('n2').connect();
    return agent('n2').perform(command);
  });
  expect(await user.checkpoint(job.id)).toMatchObject({ phase: 'DONE' });
  expect(agent('n2').registrations).toBe(2);
});

test('an agent that restarts while it holds a tree fails the checkpoint clearly', async () => {
  agent('n2').overrides.set('capture', async () => {
    agent('n2').instance = '00000000-0000-4000-8000-000000000000';
    agent('n2').disconnect();
    await agent('n2').connect();
    return FakeAgent.hang();
  });
  const operation = await user.checkpoint(job.id);
  expect(operation.error).toMatchObject({
    code: 'NODE_LOST',
    message: 'the agent on node n2 restarted before it answered',
  });
  expect((await user.job(job.id)).state).toBe(JobState.RUNNING);
});

test('a manifest of another epoch is never overwritten, and the next attempt goes past it', async () => {
  const key = manifestKey(job.id, 1);
  await user.checkpoint(job.id);
  const [first] = [await cluster.store.get(key)];
  // Another coordinator committed generation 2 behind our back.
  const foreign = JSON.parse(first.toString());
  foreign.header = { ...foreign.header, generation: '2', epoch: '5', ckptId: '77' };
  await cluster.store.put(manifestKey(job.id, 2), Buffer.from(JSON.stringify(foreign)));
  const lost = await user.checkpoint(job.id);
  expect(lost).toMatchObject({ phase: 'ABORTED', error: { code: 'ABORTED' } });
  expect(lost.error?.message).toContain('generation 2');
  const kept = decodeManifest(await cluster.store.get(manifestKey(job.id, 2)), 'kept');
  expect(kept.header?.epoch).toBe(5);
  expect(await user.checkpoint(job.id)).toMatchObject({ phase: 'DONE', generation: 3 });
});

test('operations of one job follow each other', async () => {
  const running = new Set<string>();
  let most = 0;
  agent('n1').overrides.set('prepare', (command) => {
    running.add(String(command.epoch));
    most = Math.max(most, running.size);
    return agent('n1').perform(command);
  });
  agent('n1').overrides.set('upload', (command) => {
    running.delete(String(command.epoch));
    return agent('n1').perform(command);
  });
  const operations = await Promise.all([1, 2, 3].map(() => user.checkpoint(job.id)));
  expect(operations.map(({ phase }) => phase)).toEqual(['DONE', 'DONE', 'DONE']);
  expect(operations.map(({ generation }) => generation).sort()).toEqual([1, 2, 3]);
  expect(most).toBe(1);
});

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await pause();
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 10).unref());
}
