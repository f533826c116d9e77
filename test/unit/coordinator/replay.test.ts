/** Messages that are repeated, forged or sent in somebody else's name change nothing. */
import { join } from 'node:path';
import { credentials } from '@grpc/grpc-js';
import { invoke } from '../../../core/rpc/handlers';
import { identityMetadata } from '../../../core/rpc/identity';
import type { CommandResult } from '../../../proto/gen/holdfast/v1/agent';
import { CoordinatorServiceClient, JobState } from '../../../proto/gen/holdfast/v1/coordinator';
import { FakeCluster } from './support/cluster';

let cluster: FakeCluster;

beforeAll(async () => {
  const peerCredentials = () => ({ pid: 5, uid: 1001, gid: 1001 });
  cluster = await FakeCluster.watched(['n1', 'n2'], {}, { peerCredentials });
});

afterAll(async () => {
  await cluster.stop();
});

const agent = (node: string) => cluster.agent(node);
const result = (id: string, body: CommandResult['body']) =>
  ({ $case: 'result', value: { id, error: undefined, body } }) as const;

/** Answered behind everything that the node sent before. */
async function delivered(node: string): Promise<void> {
  const user = cluster.user();
  const seen = async () => (await user.nodes()).find(({ name }) => name === node)?.lastSeenMs ?? 0;
  const beforeMs = await seen();
  // The second heartbeat from now on was sent after those messages, on the same stream.
  let renewals = 0;
  for (let lastMs = beforeMs; renewals < 2; ) {
    const nowMs = await seen();
    if (nowMs > lastMs) renewals++;
    lastMs = nowMs;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test("another node's answer to a command, a repeated one and one to nothing are ignored", async () => {
  const user = cluster.user();
  const job = await user.submit({ nodes: ['n1'] });
  let letGo: () => void = () => {};
  const gate = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  agent('n1').overrides.set('capture', async (command) => {
    const captured = { $case: 'captured', value: { capturedBytes: 1 } } as const;
    agent('n2').send(result(command.id, captured));
    agent('n2').send({
      $case: 'progress',
      value: { commandId: command.id, phase: 'forged', doneBytes: 1, totalBytes: 1 },
    });
    await delivered('n2');
    await gate;
    return agent('n1').perform(command);
  });
  const operation = await user.requestCheckpoint(job.id);
  const phases: string[] = [];
  const followed = (async () => {
    for await (const { event } of user.watch({ $case: 'operation', value: operation })) {
      if (event?.$case === 'operation') phases.push(event.value.phase);
      if (event?.$case === 'progress') phases.push(event.value.phase);
    }
  })();
  await new Promise<void>((resolve) => {
    const look = () => (agent('n1').commands('capture').length > 0 ? resolve() : setTimeout(look, 5));
    look();
  });
  await delivered('n2');
  // The forged answer came first, and the barrier still waits.
  expect(agent('n1').commands('release')).toEqual([]);
  letGo();
  await followed;
  expect(phases).not.toContain('forged');
  expect(phases.at(-1)).toBe('DONE');

  const [capture] = agent('n1').commands('capture');
  agent('n1').send(result(capture?.id ?? '', { $case: 'captured', value: { capturedBytes: 99 } }));
  agent('n1').send(result('c-unknown', { $case: 'done', value: {} }));
  await delivered('n1');
  const { operation: after } = await invoke(
    user.client,
    user.client.getOperation,
    { operation },
    { metadata: user.metadata },
  );
  expect(after).toMatchObject({ phase: 'DONE', error: undefined });
  agent('n1').overrides.clear();
  expect(await user.checkpoint(job.id)).toMatchObject({ phase: 'DONE', generation: 2 });
});

test('a node that tells of trees of another one ends and takes over nothing', async () => {
  const user = cluster.user();
  const job = await user.submit({ nodes: ['n1'] });
  const value = { job: job.id, treeId: 'main', incarnation: 1, exitCode: 0, memoryLost: '', seatGone: false };
  agent('n2').send({ $case: 'treeEnded', value: { ...value, signal: undefined } });
  await delivered('n2');
  expect(await user.job(job.id)).toMatchObject({ state: JobState.RUNNING });

  agent('n2').disconnect();
  agent('n2').host(job.id, 'main', 1, 666);
  await agent('n2').connect();
  await delivered('n2');
  const now = await user.job(job.id);
  expect(now.trees).toMatchObject([{ node: 'n1', treeId: 'main' }]);
  agent('n2').trees.clear();
});

test('an identity in the metadata means nothing on a UNIX socket: the kernel says who calls', async () => {
  const socket = `unix:${join(cluster.directory, 'run', 'coordinator.sock')}`;
  const client = new CoordinatorServiceClient(socket, credentials.createInsecure());
  const metadata = identityMetadata({ uid: 0, gid: 0, pid: 1, node: 'n1' });
  await expect(invoke(client, client.rebuildCatalog, {}, { metadata })).rejects.toMatchObject({
    code: 'PERMISSION_DENIED',
    message: 'only admins may call rebuildCatalog; the caller is uid 1001',
  });
  client.close();
});

test('an answer of an operation before does not count for the next one', async () => {
  const user = cluster.user();
  const job = await user.submit({ nodes: ['n1'] });
  expect(await user.checkpoint(job.id)).toMatchObject({ phase: 'DONE' });
  const old = agent('n1').commands('capture').at(-1);
  agent('n1').overrides.set('capture', async (command) => {
    // The answer to the last operation's command, again, instead of one to this one.
    agent('n1').send(result(old?.id ?? '', { $case: 'captured', value: { capturedBytes: 1 } }));
    await delivered('n1');
    throw new Error(`not captured: ${command.epoch > (old?.epoch ?? 0)}`);
  });
  const failed = await user.checkpoint(job.id);
  expect(failed).toMatchObject({ phase: 'ABORTED', error: { message: 'node n1: not captured: true' } });
  agent('n1').overrides.clear();
});
