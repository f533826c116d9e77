/** Restarts: on request, after a lost node, and what is left when one fails. */
import { HoldfastError } from '../../../core/errors';
import { invoke } from '../../../core/rpc/handlers';
import type { Stage } from '../../../proto/gen/holdfast/v1/agent';
import { type Job, JobState } from '../../../proto/gen/holdfast/v1/coordinator';
import { RestartPolicy } from '../../../proto/gen/holdfast/v1/manifest';
import { FakeCluster, type User } from './support/cluster';

let cluster: FakeCluster;
let user: User;

beforeEach(async () => {
  cluster = await FakeCluster.start(['n1', 'n2', 'n3']);
  user = cluster.user();
});

afterEach(() => cluster.stop());

const agent = (name: string) => cluster.agent(name);

function stageOf(name: string): Stage {
  const body = agent(name).commands('stage')[0]?.body;
  if (body?.$case !== 'stage') throw new Error(`${name} got no stage`);
  return body.value;
}

async function checkpointedJob(spec: Parameters<User['submit']>[0] = {}): Promise<Job> {
  const job = await user.submit({ nodes: ['n1'], ...spec });
  await user.member(job.id, 'n2');
  expect(await user.checkpoint(job.id)).toMatchObject({ phase: 'DONE' });
  return job;
}

test('a stopped job restarts where it was', async () => {
  const job = await checkpointedJob();
  await user.checkpoint(job.id, true);
  const operation = await user.restart(job.id);
  expect(operation).toMatchObject({ phase: 'RUNNING', generation: 2, error: undefined });
  expect(operation.decisions).toEqual([
    'n1 stays: it is alive and capable',
    'n2 stays: it is alive and capable',
  ]);
  expect(agent('n1').kinds().slice(-4)).toEqual(['kill', 'stage', 'restore', 'resume']);
  const now = await user.job(job.id);
  expect(now).toMatchObject({ state: JobState.RUNNING, incarnation: 2, restartCount: 0 });
  expect(now.trees.map(({ treeId, node }) => `${treeId}@${node}`)).toEqual(['main@n1', 'm1@n2']);
  expect(now.trees.every(({ rootPid }) => rootPid > 0)).toBe(true);
  expect(await user.checkpoint(job.id)).toMatchObject({ phase: 'DONE', generation: 3 });
});

test('a restart on another node maps addresses on all, and remembers the old ones', async () => {
  const job = await checkpointedJob();
  await user.checkpoint(job.id, true);
  agent('n2').vanish();
  await new Promise((resolve) => setTimeout(resolve, 900));
  const operation = await user.restart(job.id);
  expect(operation).toMatchObject({ phase: 'RUNNING' });
  expect(operation.decisions[1]).toBe('n2 → n3: it is not connected');
  const map = [
    { original: '10.0.0.1', current: '10.0.0.1' },
    { original: '10.0.0.2', current: '10.0.0.3' },
  ];
  expect(stageOf('n1').addressMap).toMatchObject(map);
  expect(stageOf('n3').addressMap).toMatchObject(map);
  expect([...stageOf('n1').peerAddresses].sort()).toEqual(['10.0.0.1', '10.0.0.2', '10.0.0.3']);
  expect([stageOf('n1').rollBackFiles, stageOf('n3').rollBackFiles]).toEqual([true, false]);
  expect(stageOf('n3').sharedFiles).toMatchObject([{ path: '/shared/out.log' }]);
  const aliases = [{ original: '10.0.0.2', current: '10.0.0.3' }];
  expect((await user.job(job.id)).addressAliases).toMatchObject(aliases);
  expect(stageOf('n3').aliases).toMatchObject(aliases);
  // New connections to the old address stay within the job, too.
  await user.checkpoint(job.id);
  const value = { peerAddresses: ['10.0.0.1', '10.0.0.3', '10.0.0.2'] };
  expect(agent('n3').commands('prepare')).toMatchObject([{ body: { value } }]);
});

test('nothing resumes before every node has restored (B3)', async () => {
  const job = await checkpointedJob();
  await user.checkpoint(job.id, true);
  let hasRestored = false;
  agent('n2').overrides.set('restore', async (command) => {
    await new Promise((resolve) => setTimeout(resolve, 100));
    hasRestored = true;
    return agent('n2').perform(command);
  });
  agent('n1').overrides.set('resume', (command) => {
    expect(hasRestored).toBe(true);
    return agent('n1').perform(command);
  });
  expect(await user.restart(job.id)).toMatchObject({ phase: 'RUNNING' });
});

test.each(['stage', 'restore', 'resume'] as const)(
  'a failure in %s undoes the attempt on all',
  async (kind) => {
    const job = await checkpointedJob();
    await user.checkpoint(job.id, true);
    agent('n2').overrides.set(kind, () => {
      throw new HoldfastError('CRIU_FAILED', 'criu said no');
    });
    const operation = await user.restart(job.id);
    expect(operation).toMatchObject({ phase: 'ABORTED', error: { message: 'node n2: criu said no' } });
    for (const name of ['n1', 'n2']) {
      expect(agent(name).kinds().slice(-2)).toEqual(['abort', 'kill']);
      expect(agent(name).trees.size).toBe(0);
    }
    expect(await user.job(job.id)).toMatchObject({ state: JobState.STOPPED, trees: [], lastGeneration: 2 });
    agent('n2').overrides.clear();
    expect(await user.restart(job.id)).toMatchObject({ phase: 'RUNNING' });
  },
);

test('no capable node: the reasons are told and nothing is touched', async () => {
  const job = await checkpointedJob();
  const before = await user.job(job.id);
  const operation = await user.restart(job.id, ['n1']);
  expect(operation).toMatchObject({ phase: 'ABORTED', error: { code: 'NO_CAPABLE_NODE' } });
  expect(operation.error?.message).toContain('2 distinct nodes are needed');
  expect(await user.job(job.id)).toMatchObject({ state: JobState.RUNNING, incarnation: before.incarnation });
  expect(agent('n1').kinds()).not.toContain('kill');
});

test('a lost node: the job is restarted on the nodes that are left', async () => {
  const job = await checkpointedJob({ restartPolicy: RestartPolicy.ANY_NODES });
  agent('n2').vanish();
  const now = await user.untilJob(
    job.id,
    (seen) => seen.state === JobState.RUNNING && seen.incarnation === 2,
  );
  expect(now.trees.map(({ node }) => node)).toEqual(['n1', 'n3']);
  expect(now.restartCount).toBe(1);
  // The old trees of the node that stayed were killed before the new ones were staged.
  expect(agent('n1').kinds().slice(-4)).toEqual(['kill', 'stage', 'restore', 'resume']);
});

test('a lost node in the middle of a checkpoint: aborted first, then restarted', async () => {
  const job = await checkpointedJob({ restartPolicy: RestartPolicy.ANY_NODES });
  agent('n2').overrides.set('capture', () => {
    agent('n2').vanish();
    return new Promise(() => {});
  });
  expect(await user.checkpoint(job.id)).toMatchObject({ phase: 'ABORTED', error: { code: 'NODE_LOST' } });
  const now = await user.untilJob(
    job.id,
    (seen) => seen.state === JobState.RUNNING && seen.incarnation === 2,
  );
  expect(now.lastGeneration).toBe(1);
  const kinds = agent('n1').kinds();
  expect(kinds.indexOf('abort')).toBeLessThan(kinds.lastIndexOf('kill'));
});

test('a lost node is answered however many operations of the job wait', async () => {
  await cluster.stop();
  cluster = await FakeCluster.start(['n1', 'n2', 'n3'], undefined, { maxCheckpoints: 1 });
  user = cluster.user();
  const job = await user.submit({ nodes: ['n1'], restartPolicy: RestartPolicy.ANY_NODES });
  expect(await user.checkpoint(job.id)).toMatchObject({ phase: 'DONE' });
  const other = await user.submit({ nodes: ['n3'] });
  const isCaptured = new Promise<void>((resolve) => {
    agent('n3').overrides.set('capture', () => {
      resolve();
      return new Promise(() => {});
    });
  });
  await user.requestCheckpoint(other.id);
  await isCaptured;
  for (let i = 0; i < 8; i++) await user.requestCheckpoint(job.id);
  await expect(user.requestCheckpoint(job.id)).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
  agent('n1').vanish();
  const now = await user.untilJob(
    job.id,
    (seen) => seen.state === JobState.RUNNING && seen.incarnation === 2,
  );
  expect(now.trees.map(({ node }) => node)).toEqual(['n2']);
});

test('a lost node and no policy: the job is lost, with the reason', async () => {
  const job = await checkpointedJob();
  agent('n2').vanish();
  const now = await user.until(job.id, JobState.LOST);
  expect(now.reason).toBe("node n2 was lost; the job's restart policy is never");
  await until(() => agent('n1').kinds().includes('kill'));
});

test('restarts that fail again and again end at the limit', async () => {
  const policy = { restartPolicy: RestartPolicy.ANY_NODES, maxRestarts: 2, restartBackoffMs: 1 };
  const job = await checkpointedJob(policy);
  agent('n3').overrides.set('restore', () => {
    throw new HoldfastError('CRIU_FAILED', 'criu said no');
  });
  agent('n2').vanish();
  const now = await user.until(job.id, JobState.LOST);
  expect(now.reason).toContain('restarted 2 times, the limit');
  expect(agent('n3').commands('restore')).toHaveLength(2);
});

test('an automatic restart waits for a node that can take the job', async () => {
  const job = await checkpointedJob({ restartPolicy: RestartPolicy.SAME_NODES });
  agent('n2').vanish();
  await user.until(job.id, JobState.RESTARTING);
  await agent('n2').connect();
  const now = await user.untilJob(
    job.id,
    (seen) => seen.state === JobState.RUNNING && seen.incarnation === 2,
  );
  expect(now.trees.map(({ node }) => node)).toEqual(['n1', 'n2']);
});

describe('a restart that waits for a node', () => {
  let job: Job;

  beforeEach(async () => {
    job = await checkpointedJob({ restartPolicy: RestartPolicy.SAME_NODES });
    agent('n2').disconnect();
    await planning(job);
  });

  test('is given up by a kill at once, and what returns of the job is killed too', async () => {
    const request = { job: job.id, signal: 15 };
    const killed = invoke(user.client, user.client.killJob, request, { metadata: user.metadata });
    await expect(killed).rejects.toMatchObject({ code: 'NODE_UNAVAILABLE' });
    const now = await user.job(job.id);
    expect(now).toMatchObject({
      state: JobState.FAILED,
      reason: 'killed with signal 15 by uid 1000',
      trees: [],
    });
    await until(() => agent('n1').trees.size === 0);
    await agent('n2').connect();
    await until(() => agent('n2').trees.size === 0);
    expect(agent('n1').kinds()).not.toContain('stage');
  });

  test('goes on waiting after a restart of the coordinator', async () => {
    agent('n1').returns = true;
    await cluster.stopCoordinator();
    await cluster.startCoordinator();
    await planning(job);
    agent('n2').vanish();
    agent('n2').returns = true;
    await agent('n2')
      .connect()
      .catch(() => {});
    const now = await user.untilJob(
      job.id,
      (seen) => seen.state === JobState.RUNNING && seen.incarnation === 2,
    );
    expect(now.trees.map(({ node }) => node)).toEqual(['n1', 'n2']);
  });
});

test('a node that returns with trees of before the restart kills them (E3), and leaves unknown ones alone', async () => {
  const job = await checkpointedJob({ restartPolicy: RestartPolicy.ANY_NODES });
  const returning = agent('n2');
  const [tree] = returning.of(job.id);
  returning.disconnect();
  await user.untilJob(job.id, (seen) => seen.state === JobState.RUNNING && seen.incarnation === 2);
  expect(tree?.incarnation).toBe(1);
  returning.host('j-000000000000', 'main', 1);
  await returning.connect();
  await until(() => returning.of(job.id).length === 0);
  const kill = returning.commands('kill').at(-1);
  expect(kill).toMatchObject({ job: job.id, body: { value: { signal: 9, belowIncarnation: 2 } } });
  expect(returning.trees.size).toBe(1);
});

test('a job that was cut off as a whole runs on when it is back', async () => {
  const [alone, wide] = [
    await user.submit({ nodes: ['n3'] }),
    await checkpointedJob({ restartPolicy: RestartPolicy.ANY_NODES }),
  ];
  for (const name of ['n1', 'n2', 'n3']) agent(name).disconnect();
  await user.until(alone.id, JobState.LOST);
  await user.until(wide.id, JobState.RESTARTING);
  for (const name of ['n3', 'n2', 'n1']) await agent(name).connect();
  const now = await user.until(wide.id, JobState.RUNNING);
  expect(now).toMatchObject({ incarnation: 1, restartCount: 0, reason: '' });
  expect(now.trees).toHaveLength(2);
  expect(await user.job(alone.id)).toMatchObject({ state: JobState.RUNNING, endedMs: 0 });
  for (const name of ['n1', 'n2', 'n3']) expect(agent(name).kinds()).not.toContain('kill');
  expect(await user.checkpoint(wide.id)).toMatchObject({ phase: 'DONE', generation: 2 });
});

test.each(['before', 'after'])(
  'a main tree that failed %s another node was lost is not taken for one that runs on',
  async (when) => {
    const job = await checkpointedJob({ restartPolicy: RestartPolicy.SAME_NODES });
    agent('n2').disconnect();
    if (when === 'before') agent('n1').endTree('main', { exitCode: 1 });
    await user.until(job.id, JobState.RESTARTING);
    if (when === 'after') {
      agent('n1').endTree('main', { exitCode: 1 });
      await user.untilJob(job.id, ({ trees }) => trees.length === 1);
    }
    await agent('n2').connect();
    const now = await user.until(job.id, JobState.RUNNING);
    expect(now).toMatchObject({ incarnation: 2, restartCount: 1 });
    expect(now.trees.map(({ treeId }) => treeId)).toEqual(['main', 'm1']);
    expect(agent('n2').of(job.id)).toMatchObject([{ incarnation: 2 }]);
  },
);

test('a job without its main tree is lost for good: what returns of it is killed', async () => {
  const job = await checkpointedJob();
  agent('n2').disconnect();
  agent('n1').endTree('main', { exitCode: 1 });
  expect((await user.until(job.id, JobState.LOST)).reason).toMatch(/^node n2 was lost/);
  await agent('n2').connect();
  await until(() => agent('n2').of(job.id).length === 0);
  expect(await user.job(job.id)).toMatchObject({ state: JobState.LOST, trees: [] });
});

test('a node that comes back empty has lost its trees', async () => {
  const job = await checkpointedJob({ restartPolicy: RestartPolicy.ANY_NODES });
  agent('n2').vanish();
  await agent('n2').connect();
  const now = await user.untilJob(
    job.id,
    (seen) => seen.state === JobState.RUNNING && seen.incarnation === 2,
  );
  expect(now.trees.map(({ node }) => node)).toEqual(['n1', 'n2']);
});

/** Until the job's restart is in PLAN. */
async function planning(job: Job): Promise<void> {
  for await (const { event } of user.watch({ $case: 'job', value: job.id })) {
    if (event?.$case === 'operation' && event.value.phase === 'PLAN') return;
  }
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 10).unref());
}
