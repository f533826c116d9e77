/** Jobs: their beginnings, members, ends, and who may touch them. */
import { invoke } from '../../../core/rpc/handlers';
import { JobState, TrackProcessRequest } from '../../../proto/gen/holdfast/v1/coordinator';
import { FakeCluster, LEASE_MS, type User } from './support/cluster';

let cluster: FakeCluster;
let user: User;

beforeEach(async () => {
  cluster = await FakeCluster.start(['n1', 'n2']);
  user = cluster.user();
});

afterEach(() => cluster.stop());

const agent = (name: string) => cluster.agent(name);

test('a job runs on the first node asked for, under its owner, and ends with its exit code', async () => {
  const job = await user.submit({ nodes: ['n2'], uid: 0, gid: 0 });
  expect(job).toMatchObject({ state: JobState.RUNNING, incarnation: 1 });
  expect(job.spec).toMatchObject({ uid: 1000, gid: 1000 });
  expect(job.trees).toMatchObject([{ treeId: 'main', node: 'n2', main: true }]);
  agent('n2').endTree('main', { exitCode: 0 });
  expect(await user.until(job.id, JobState.COMPLETED)).toMatchObject({ exitCode: 0, trees: [] });
  await until(() => agent('n2').acks.includes(`${job.id}/main`));
});

test('a signal becomes 128 + its number', async () => {
  const job = await user.submit();
  agent('n1').endTree('main', { signal: 11 });
  expect(await user.until(job.id, JobState.FAILED)).toMatchObject({ exitCode: 139 });
});

test('a launch that fails is a failed job', async () => {
  agent('n1').overrides.set('launch', () => {
    throw new Error('no such program');
  });
  await expect(user.submit({ nodes: ['n1'] })).rejects.toThrow('node n1: no such program');
});

test('the end of the main tree ends what is left of its members', async () => {
  const job = await user.submit({ nodes: ['n1'] });
  await user.member(job.id, '10.0.0.2');
  agent('n1').endTree('main', { exitCode: 0 });
  await user.until(job.id, JobState.COMPLETED);
  await until(() => agent('n2').trees.size === 0);
  expect(agent('n2').commands('kill')).toHaveLength(1);
});

test('a member whose node was lost when its job ended is killed when the node returns (E3)', async () => {
  const job = await user.submit({ nodes: ['n1'] });
  await user.member(job.id, 'n2');
  agent('n2').disconnect();
  agent('n1').endTree('main', { exitCode: 0 });
  await user.until(job.id, JobState.COMPLETED);
  while ((await user.nodes()).some(({ name, alive }) => name === 'n2' && alive)) await pause();
  await agent('n2').connect();
  await until(() => agent('n2').trees.size === 0);
  expect(agent('n2').commands('kill').at(-1)).toMatchObject({ body: { value: { belowIncarnation: 2 } } });
});

test('a stale tree is killed also where its job has a current one, and in the middle of an operation (E3)', async () => {
  const job = await user.submit({ nodes: ['n1'] });
  let letGo: () => void = () => {};
  const gate = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  agent('n1').overrides.set('capture', async (command) => {
    await gate;
    return agent('n1').perform(command);
  });
  const operation = await user.requestCheckpoint(job.id);
  await until(() => agent('n1').commands('capture').length === 1);
  agent('n1').host(job.id, 'm9', 0);
  agent('n1').disconnect();
  await agent('n1').connect();
  await until(() => agent('n1').trees.size === 1);
  letGo();
  expect(await user.ended(operation)).toMatchObject({ phase: 'DONE' });
});

test('an abnormal end is a failure once the other nodes have renewed their leases', async () => {
  const job = await user.submit({ nodes: ['n1'] });
  await user.member(job.id, 'n2');
  agent('n2').heartbeatsEnabled = false;
  agent('n1').endTree('main', { exitCode: 1 });
  await new Promise((resolve) => setTimeout(resolve, LEASE_MS / 4));
  expect((await user.job(job.id)).state).toBe(JobState.RUNNING);
  agent('n2').heartbeatsEnabled = true;
  expect(await user.until(job.id, JobState.FAILED)).toMatchObject({ exitCode: 1 });
});

test('an abnormal end because another node is gone is a node loss', async () => {
  const job = await user.submit({ nodes: ['n1'] });
  await user.member(job.id, 'n2');
  agent('n2').vanish();
  agent('n1').endTree('main', { exitCode: 1 });
  expect(await user.until(job.id, JobState.LOST)).toMatchObject({ exitCode: undefined });
});

test('a member is started only for the owner, on a node that is connected', async () => {
  const job = await user.submit({ nodes: ['n1'] });
  await expect(cluster.user(1001).member(job.id, 'n2')).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  await expect(user.member(job.id, 'n9')).rejects.toMatchObject({ code: 'NODE_UNAVAILABLE' });
  agent('n2').overrides.set('launch', async (command) => {
    const result = await agent('n2').perform(command);
    if (result?.$case === 'started') result.value.commandExitCode = 3;
    return result;
  });
  expect(await user.member(job.id, 'n2')).toBe(3);
});

test('a member that waited for operations carries no epoch of before them (E1), and root may start it', async () => {
  const job = await user.submit({ nodes: ['n1'] });
  await user.member(job.id, 'n2');
  let letGo: () => void = () => {};
  const gate = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  agent('n2').overrides.set('capture', async (command) => {
    await gate;
    return agent('n2').perform(command);
  });
  const operations = [await user.requestCheckpoint(job.id), await user.requestCheckpoint(job.id)];
  await until(() => agent('n2').commands('capture').length === 1);
  const root = cluster.user(0);
  const member = root.member(job.id, 'n2');
  // It is answered behind the member's request, which waits by now.
  await root.nodes();
  letGo();
  expect(await member).toBe(0);
  for (const operation of operations) expect(await user.ended(operation)).toMatchObject({ phase: 'DONE' });
  expect(agent('n2').commands('launch').at(-1)).toMatchObject({ body: { value: { spec: { uid: 1000 } } } });
});

test('a checkpoint waits for a member that is being started: its epoch would end it (E1)', async () => {
  const [job, other] = [await user.submit({ nodes: ['n1'] }), await user.submit({ nodes: ['n1'] })];
  let letGo: () => void = () => {};
  const gate = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  agent('n2').overrides.set('launch', async (command) => {
    await gate;
    return agent('n2').perform(command);
  });
  const member = user.member(job.id, 'n2');
  await until(() => agent('n2').commands('launch').length === 1);
  const operation = await user.requestCheckpoint(job.id);
  // Long enough for the first one, too.
  expect(await user.checkpoint(other.id)).toMatchObject({ phase: 'DONE' });
  expect(agent('n2').kinds()).toEqual(['launch']);
  letGo();
  expect(await member).toBe(0);
  expect(await user.ended(operation)).toMatchObject({ phase: 'DONE' });
  expect(agent('n2').kinds()).toEqual(['launch', 'prepare', 'capture', 'release', 'upload']);
});

test('a process that runs already is taken over where its owner says', async () => {
  const { client, metadata } = user;
  const { job } = await invoke(
    client,
    client.trackProcess,
    TrackProcessRequest.fromPartial({ node: '', pid: 77 }),
    { metadata },
  );
  expect(job).toMatchObject({ tracked: true, state: JobState.RUNNING, spec: { argv: ['found'], uid: 1000 } });
  expect(agent('n1').commands('adopt')[0]?.body?.value).toMatchObject({ pid: 77, callerUid: 1000 });
  const self = await invoke(
    client,
    client.trackProcess,
    TrackProcessRequest.fromPartial({ node: '', pid: 0 }),
    { metadata },
  );
  expect(self.job?.trees[0]?.rootPid).toBe(4242);
});

test('kill reaches every node', async () => {
  const job = await user.submit({ nodes: ['n1'] });
  await user.member(job.id, 'n2');
  await invoke(user.client, user.client.killJob, { job: job.id, signal: 9 }, { metadata: user.metadata });
  const now = await user.until(job.id, JobState.FAILED);
  expect(now).toMatchObject({ exitCode: 137, reason: 'killed with signal 9 by uid 1000' });
  expect(agent('n2').commands('kill').length).toBeGreaterThan(0);
});

test('nobody but the owner and root sees or touches a job', async () => {
  const job = await user.submit();
  const other = cluster.user(1001);
  const denied = { code: 'PERMISSION_DENIED' };
  await expect(other.job(job.id)).rejects.toMatchObject(denied);
  await expect(other.checkpoint(job.id)).rejects.toMatchObject(denied);
  await expect(other.restart(job.id)).rejects.toMatchObject(denied);
  await expect(other.until(job.id, JobState.RUNNING)).rejects.toThrow('belongs to another user');
  const { client, metadata } = other;
  await expect(
    invoke(client, client.killJob, { job: job.id, signal: 9 }, { metadata }),
  ).rejects.toMatchObject(denied);
  await expect(invoke(client, client.rebuildCatalog, {}, { metadata })).rejects.toMatchObject(denied);
  expect(await invoke(client, client.listJobs, { all: true }, { metadata })).toMatchObject({ jobs: [] });
  expect((await cluster.user(0).job(job.id)).id).toBe(job.id);
});

test('periodic checkpoints come by themselves, and are skipped while one is at work', async () => {
  let captures = 0;
  agent('n1').overrides.set('capture', async (command) => {
    captures++;
    if (captures === 1) await new Promise((resolve) => setTimeout(resolve, 1500));
    return agent('n1').perform(command);
  });
  const job = await user.submit({ nodes: ['n1'], intervalMs: 1000 });
  const now = await user.untilJob(job.id, ({ lastGeneration }) => lastGeneration === 2);
  expect(now.state).toBe(JobState.RUNNING);
  // The tick in the middle of the first checkpoint did not wait for its turn.
  expect(captures).toBe(2);
  agent('n1').endTree('main', { exitCode: 0 });
  await user.until(job.id, JobState.COMPLETED);
});

test('a schedule goes on after a restart of the coordinator, and ends with the job', async () => {
  agent('n1').returns = true;
  const job = await user.submit({ nodes: ['n1'], intervalMs: 1000 });
  await cluster.stopCoordinator();
  await cluster.startCoordinator();
  await user.untilJob(job.id, ({ lastGeneration }) => lastGeneration === 1);
  agent('n1').endTree('main', { exitCode: 0 });
  await user.until(job.id, JobState.COMPLETED);
  const captures = agent('n1').commands('capture').length;
  await new Promise((resolve) => setTimeout(resolve, 1200));
  expect(agent('n1').commands('capture')).toHaveLength(captures);
});

test('who watches sees the state now, every change and the progress, until the end', async () => {
  const job = await user.submit({ nodes: ['n1'] });
  agent('n1').overrides.set('capture', (command) => {
    const value = { commandId: command.id, phase: 'capture', doneBytes: 5, totalBytes: 10 };
    agent('n1').send({ $case: 'progress', value });
    return agent('n1').perform(command);
  });
  const operation = await user.requestCheckpoint(job.id);
  const seen: string[] = [];
  for await (const { event } of user.watch({ $case: 'operation', value: operation })) {
    if (event?.$case === 'operation') seen.push(event.value.phase);
    if (event?.$case === 'progress')
      seen.push(`${event.value.node} ${event.value.doneBytes}/${event.value.totalBytes}`);
  }
  const order = ['CAPTURE', 'n1 5/10', 'RELEASE', 'UPLOAD', 'COMMIT', 'DONE'];
  expect(seen.filter((item) => order.includes(item))).toEqual(order);
  const late = [];
  for await (const { event } of user.watch({ $case: 'operation', value: operation })) late.push(event?.value);
  expect(late).toMatchObject([{ phase: 'DONE', summary: { ckptId: 1 } }]);
});

test('a job has a few open operations at most', async () => {
  const job = await user.submit({ nodes: ['n1'] });
  agent('n1').overrides.set('prepare', () => new Promise(() => {}));
  for (let i = 0; i < 8; i++) await user.requestCheckpoint(job.id);
  await expect(user.requestCheckpoint(job.id)).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
});

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await pause();
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 10).unref());
}
