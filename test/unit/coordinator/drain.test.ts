/** Nodes taken out of service, generations put into quarantine, deadlines: through the whole coordinator. */
import type { Context } from '../../../coordinator/context';
import { undrainNode } from '../../../coordinator/drain/drain';
import { HoldfastError } from '../../../core/errors';
import { manifestKey } from '../../../core/manifest';
import { invoke } from '../../../core/rpc/handlers';
import { JobState, type Operation } from '../../../proto/gen/holdfast/v1/coordinator';
import { LiveMode, RestartPolicy } from '../../../proto/gen/holdfast/v1/manifest';
import { FakeCluster, type User } from './support/cluster';
import { loseObjects } from './support/collecting';

let cluster: FakeCluster;
let user: User;
let root: User;

beforeEach(async () => {
  cluster = await FakeCluster.start(['n1', 'n2', 'n3']);
  user = cluster.user();
  root = cluster.user(0);
});

afterEach(() => cluster.stop());

const agent = (name: string) => cluster.agent(name);
const drain = async (by: User, node: string, restart = false) =>
  (await invoke(by.client, by.client.drain, { node, reason: 'fan', restart }, { metadata: by.metadata }))
    .operations;
const decisions = async (job: string) =>
  (await user.job(job)).decisions.map(({ subject, reason }) => `${subject}: ${reason}`);

describe('a drained node', () => {
  test('has its jobs checkpointed, and gets no new ones until it is open again', async () => {
    const here = await user.submit({ nodes: ['n2'] });
    const elsewhere = await user.submit({ nodes: ['n1'] });
    const operations = await drain(root, 'n2');
    expect(operations).toHaveLength(1);
    expect(await user.ended(operations[0] ?? '')).toMatchObject({ job: here.id, phase: 'DONE' });
    expect(await decisions(here.id)).toEqual([`drain: node n2 is drained: checkpoint ${operations[0]}`]);
    expect((await user.job(elsewhere.id)).lastGeneration).toBe(0);
    const [, n2] = await user.nodes();
    expect(n2?.drain).toMatchObject({ reason: 'fan', restart: false });

    const refused = {
      code: 'NODE_UNAVAILABLE',
      message: 'node n2 is drained (fan): nothing is placed there',
    };
    await expect(user.submit({ nodes: ['n2'] })).rejects.toMatchObject(refused);
    await expect(user.member(elsewhere.id, 'n2')).rejects.toMatchObject(refused);
    expect((await cluster.user(1000, 'n2').submit()).trees).toMatchObject([{ node: 'n1' }]);
    await invoke(root.client, root.client.undrain, { node: 'n2' }, { metadata: root.metadata });
    expect((await user.submit({ nodes: ['n2'] })).state).toBe(JobState.RUNNING);
  });

  test('is left by its jobs when that was asked for, from just that checkpoint', async () => {
    const job = await user.submit({ nodes: ['n1'], restartPolicy: RestartPolicy.ANY_NODES });
    await user.member(job.id, 'n2');
    await drain(root, 'n2', true);
    const now = await user.untilJob(job.id, ({ state, incarnation }) => {
      return state === JobState.RUNNING && incarnation === 2;
    });
    expect(now.trees.map(({ node }) => node)).toEqual(['n1', 'n3']);
    expect(agent('n2').trees.size).toBe(0);
    expect(await decisions(job.id)).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^drain: node n2 is drained: checkpoint 1 is restarted on other nodes/),
        'restart: from generation 1: n1 stays: it is alive and capable; n2 → n3: it is drained',
      ]),
    );
  });

  test('keeps a job that no other node can take: it runs on', async () => {
    const job = await user.submit({ nodes: ['n1'], restartPolicy: RestartPolicy.ANY_NODES });
    for (const node of ['n2', 'n3']) await user.member(job.id, node);
    await drain(root, 'n2', true);
    const restart = await operationOf(job.id, ({ kind, endedMs }) => /RESTART/.test(kind) && endedMs > 0);
    expect(restart).toMatchObject({ phase: 'ABORTED', error: { code: 'NO_CAPABLE_NODE' } });
    expect(restart.error?.message).toContain('n2: it is drained');
    expect(await user.job(job.id)).toMatchObject({ state: JobState.RUNNING, incarnation: 1 });
  });

  test('keeps a job that nobody may restart unasked, checkpointed', async () => {
    const job = await user.submit({ nodes: ['n2'], restartPolicy: RestartPolicy.NEVER });
    const [operation = ''] = await drain(root, 'n2', true);
    expect(await user.ended(operation)).toMatchObject({ phase: 'DONE' });
    await user.untilJob(job.id, ({ lastGeneration }) => lastGeneration === 1);
    expect(await decisions(job.id)).toContain(
      "drain: node n2 is drained, but the job's restart policy is never",
    );
    expect(await user.job(job.id)).toMatchObject({ state: JobState.RUNNING, incarnation: 1 });
  });

  test('is left by a job that fails on its new node at first: its policy says what follows', async () => {
    const policy = { restartPolicy: RestartPolicy.ANY_NODES, restartBackoffMs: 1 };
    const job = await user.submit({ nodes: ['n2'], ...policy });
    let failures = 0;
    for (const name of ['n1', 'n3']) {
      agent(name).overrides.set('restore', (command) => {
        if (failures++ === 0) throw new HoldfastError('TIMEOUT', 'too slow');
        return agent(name).perform(command);
      });
    }
    await drain(root, 'n2', true);
    await user.untilJob(job.id, ({ state, incarnation }) => state === JobState.RUNNING && incarnation === 3);
    expect(failures).toBe(2);
  });

  test('stays drained when the coordinator is restarted', async () => {
    await drain(root, 'n2');
    for (const { node } of cluster.agents.values()) agent(node).returns = true;
    await cluster.stopCoordinator();
    await cluster.startCoordinator();
    const user2 = cluster.user();
    expect((await user2.nodes()).find(({ name }) => name === 'n2')?.drain).toMatchObject({ reason: 'fan' });
  });

  test('is named by root, and known', async () => {
    await expect(drain(user, 'n2')).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    await expect(drain(root, 'n9')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

test('a drained node that has not registered since the coordinator’s start can be opened again', async () => {
  const removed: string[] = [];
  const drains = { find: () => ({ reason: '' }), remove: async (node: string) => removed.push(node) };
  const context = { drains, fleet: { node: () => undefined }, log: { info: () => undefined } };
  await undrainNode(context as unknown as Context, 'n2');
  expect(removed).toEqual(['n2']);
});

test('checkpoints beyond the limit wait, but for those that must not', async () => {
  await cluster.stop();
  cluster = await FakeCluster.start(['n1', 'n2', 'n3'], undefined, { maxCheckpoints: 1 });
  user = cluster.user();
  const jobs = [];
  for (const node of ['n1', 'n2', 'n3']) jobs.push(await user.submit({ nodes: [node] }));
  const [first = '', second = '', third = ''] = jobs.map(({ id }) => id);
  let letGo: () => void = () => {};
  const gate = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const captured = new Promise<void>((resolve) => {
    agent('n1').overrides.set('capture', async (command) => {
      resolve();
      await gate;
      return agent('n1').perform(command);
    });
  });
  const held = await user.requestCheckpoint(first);
  await captured;
  const waiting = await user.requestCheckpoint(second);
  const { metadata } = user;
  const request = { job: third, stop: false, live: LiveMode.NEVER, now: true, cause: '' };
  const urgent = await invoke(user.client, user.client.checkpoint, request, { metadata });
  expect(await user.ended(urgent.operation)).toMatchObject({ phase: 'DONE' });
  expect(agent('n2').kinds()).toEqual(['launch']);
  letGo();
  expect(await user.ended(held)).toMatchObject({ phase: 'DONE' });
  expect(await user.ended(waiting)).toMatchObject({ phase: 'DONE' });
});

describe('a generation that is to blame', () => {
  test('is put into quarantine, and the next older one is restarted', async () => {
    const policy = { restartPolicy: RestartPolicy.ANY_NODES, restartBackoffMs: 1 };
    const job = await user.submit({ nodes: ['n2'], ...policy });
    for (let i = 0; i < 2; i++) await user.checkpoint(job.id);
    await loseObjects(cluster.store, job.id, 2);
    for (const name of ['n1', 'n3']) {
      agent(name).overrides.set('restore', (command) => {
        if (command.generation === 2) throw new HoldfastError('CORRUPT', 'pack 3 has another checksum');
        return agent(name).perform(command);
      });
    }
    agent('n2').vanish();
    const now = await user.untilJob(job.id, ({ state, incarnation }) => {
      return state === JobState.RUNNING && incarnation === 3;
    });
    expect(now.restartsSinceCommit).toBe(2);
    const { metadata } = user;
    const list = await invoke(user.client, user.client.listCheckpoints, { job: job.id }, { metadata });
    expect(list.checkpoints).toMatchObject([
      { generation: 1, quarantine: '' },
      { generation: 2, quarantine: expect.stringMatching(/^CORRUPT: node n[13]: pack 3 has another/) },
    ]);
    const told = await decisions(job.id);
    expect(told[0]).toMatch(/^restart: node n2 was lost; restarting from generation 2$/);
    expect(told[1]).toBe('restart: from generation 2: n2 → n1: it is not connected');
    expect(told[2]).toMatch(/^quarantine: generation 2 \(checkpoint 2\): CORRUPT: /);
    expect(told[3]).toMatch(
      /restarting from generation 1, the newest that is not in quarantine \(2: CORRUPT/,
    );
    // A number that was given is not given again, and progress ends the back-off.
    expect(await user.checkpoint(job.id)).toMatchObject({ phase: 'DONE', generation: 3 });
    expect((await user.job(job.id)).restartsSinceCommit).toBe(0);
  });

  test('on request: the error is told, and asked again the next older one is taken', async () => {
    const job = await user.submit({ nodes: ['n1'] });
    await user.checkpoint(job.id);
    await user.checkpoint(job.id, true);
    await loseObjects(cluster.store, job.id, 2);
    agent('n1').overrides.set('stage', (command) => {
      if (command.generation === 2) throw new HoldfastError('OBJECT_MISSING', 'pack 3 is gone');
      return agent('n1').perform(command);
    });
    expect(await user.restart(job.id)).toMatchObject({ phase: 'ABORTED', error: { code: 'OBJECT_MISSING' } });
    expect(await user.restart(job.id)).toMatchObject({ phase: 'RUNNING', generation: 1 });

    // Who names it gets it, and when it works it is good again.
    agent('n1').overrides.clear();
    const { metadata } = user;
    const source = { $case: 'ckptId', value: 2 } as const;
    const request = { source, nodes: [], outputPath: '', lazy: false, deadlineMs: 0, walltimeMs: 0 };
    const { operation } = await invoke(user.client, user.client.restart, request, { metadata });
    expect(await user.ended(operation)).toMatchObject({ phase: 'RUNNING', generation: 2 });
    const list = await invoke(user.client, user.client.listCheckpoints, { job: job.id }, { metadata });
    expect(list.checkpoints.map(({ quarantine }) => quarantine)).toEqual(['', '']);
  });

  test('whose manifest cannot be read is passed over in the same restart', async () => {
    const job = await user.submit({ nodes: ['n1'] });
    await user.checkpoint(job.id);
    await user.checkpoint(job.id, true);
    await cluster.store.put(manifestKey(job.id, 2), Buffer.from('{'));
    expect(await user.restart(job.id)).toMatchObject({ phase: 'RUNNING', generation: 1 });
    expect(await decisions(job.id)).toContainEqual(
      expect.stringMatching(/^quarantine: generation 2 \(checkpoint 2\): CORRUPT: /),
    );
  });

  test('is not there without its manifest, whatever the catalog says: it is passed over', async () => {
    const job = await user.submit({ nodes: ['n1'] });
    await user.checkpoint(job.id);
    await user.checkpoint(job.id, true);
    await cluster.store.delete(manifestKey(job.id, 2));
    expect(await user.restart(job.id)).toMatchObject({ phase: 'RUNNING', generation: 1 });
    expect(await decisions(job.id)).toContainEqual(
      expect.stringMatching(/^restart: generation 2 of job .* does not exist any more$/),
    );
  });
});

test('a job with a walltime gets its last checkpoint before the end', async () => {
  const job = await user.submit({ nodes: ['n1'], walltimeMs: 3000 });
  expect(job.deadlineMs).toBe(job.createdMs + 3000);
  const { schedule } = await user.job(job.id);
  expect(schedule).toMatchObject({
    kind: 'deadline',
    reason: expect.stringContaining('the last one before'),
  });
  const now = await user.untilJob(job.id, ({ lastGeneration }) => lastGeneration === 1);
  expect(Date.now()).toBeLessThan(now.deadlineMs);
});

async function operationOf(job: string, isIt: (operation: Operation) => boolean): Promise<Operation> {
  for await (const { event } of user.watch({ $case: 'job', value: job })) {
    if (event?.$case === 'operation' && isIt(event.value)) return event.value;
  }
  throw new Error(`job ${job} has ended`);
}
