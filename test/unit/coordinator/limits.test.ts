/** How much of the coordinator one user may take. */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { CallLimits, TokenBucket } from '../../../coordinator/api/limits';
import { serveTools } from '../../../core/rpc/tools';
import { FakeCluster } from './support/cluster';
import { ManualClock } from './support/manualClock';

const caller = (uid: number, role: 'user' | 'operator' | 'admin' = 'user') => ({
  ...{ uid, gid: uid, pid: 1, node: 'n1', role },
});

test('a bucket gives its burst at once, then its rate, and tells how long to wait', () => {
  const bucket = new TokenBucket(5, 0);
  expect(Array.from({ length: 6 }, () => bucket.take(2, 0))).toEqual([0, 0, 0, 0, 0, 500]);
  expect(bucket.take(2, 400)).toBe(100);
  expect([bucket.take(2, 500), bucket.take(2, 500)]).toEqual([0, 500]);
  expect(bucket.isFull(2, 2000)).toBe(false);
  expect(bucket.isFull(2, 60_000)).toBe(true);
  // A clock that was set back gives nothing and takes nothing.
  expect(bucket.take(2, 0)).toBe(0);
});

test('a user makes so many calls a second; others, admins and launches of members are not held up', () => {
  const clock = new ManualClock();
  let rate = 2;
  const limits = new CallLimits(() => rate, clock);
  for (let call = 0; call < 20; call++) limits.begin(caller(1000), 'getJob')();
  const denied = { code: 'LIMIT_EXCEEDED', message: 'uid 1000 makes more than 2 calls a second' };
  const refused = () => {
    try {
      limits.begin(caller(1000), 'getJob');
      return null;
    } catch (thrown) {
      return thrown;
    }
  };
  expect(refused()).toMatchObject({ ...denied, remedy: 'try again in 0.5 s', isTold: true });
  expect(refused()).toMatchObject({ ...denied, isTold: false });
  limits.begin(caller(1001), 'getJob');
  limits.begin(caller(1000, 'admin'), 'getJob');
  limits.begin(caller(1000), 'launchMember');
  clock.advance(500);
  expect(refused()).toBeNull();
  clock.advance(499);
  expect(refused()).toMatchObject({ remedy: 'try again in 0.1 s' });
  clock.advance(1);
  expect(refused()).toBeNull();
  rate = 0;
  for (let call = 0; call < 100; call++) expect(refused()).toBeNull();
});

test('of strangers who are refused ten a second are told', () => {
  const clock = new ManualClock();
  const limits = new CallLimits(() => 1, clock);
  const told = () => Array.from({ length: 200 }, () => limits.tellsOfStranger()).filter(Boolean).length;
  expect(told()).toBe(100);
  clock.advance(1000);
  expect(told()).toBe(10);
});

test('a watch counts until it is over', async () => {
  const cluster = await FakeCluster.watched(['n1'], {}, { maxOpenCalls: 2 });
  const user = cluster.user(1000);
  const job = await user.submit();
  const watching = () => {
    const stream = user.client.watch({ subject: { $case: 'job', value: job.id }, after: '' }, user.metadata);
    const first = once(stream, 'data');
    stream.on('error', () => {});
    return { stream, first };
  };
  const [one, two] = [watching(), watching()];
  await Promise.all([one.first, two.first]);
  await expect(user.job(job.id)).rejects.toMatchObject({
    code: 'LIMIT_EXCEEDED',
    message: '2 calls of uid 1000 are open',
  });
  one.stream.cancel();
  let found = null;
  while (found === null) found = await user.job(job.id).catch(() => null);
  expect(found.id).toBe(job.id);
  two.stream.cancel();
  await cluster.stop();
});

test('a user has so many calls open', () => {
  const limits = new CallLimits(() => 0, new ManualClock(), 2);
  const [end] = [limits.begin(caller(1000), 'watch'), limits.begin(caller(1000), 'launchMember')];
  expect(() => limits.begin(caller(1000), 'watch')).toThrow('2 calls of uid 1000 are open');
  limits.begin(caller(1001), 'watch');
  end?.();
  limits.begin(caller(1000), 'watch');
});

test('the limits are those of the configuration, also after SIGHUP, and those of operations count their open ones', async () => {
  const cluster = await FakeCluster.start(['n1'], undefined, { userOperations: 1, operators: ['2000'] });
  const user = cluster.user(1000);
  const job = await user.submit();
  cluster.agent('n1').overrides.set('capture', () => new Promise(() => {}));
  const first = await user.requestCheckpoint(job.id);
  const denied = { code: 'LIMIT_EXCEEDED', message: '1 operations of uid 1000 are open' };
  await expect(user.requestCheckpoint(job.id)).rejects.toMatchObject(denied);
  await expect(user.requestRestart((await user.submit()).id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  const others = await cluster.user(1001).submit();
  await cluster.user(1001).requestCheckpoint(others.id);
  // An operator is not held up by what the user has done.
  await cluster.user(2000).requestCheckpoint(job.id);

  const reload = (more: object) => {
    cluster.extraOptions = { ...cluster.extraOptions, ...more };
    cluster.coordinator?.reload({ ...cluster.options(), listen: '127.0.0.1:0' });
  };
  reload({ userOperations: 0 });
  await user.requestCheckpoint(job.id);
  reload({ userRate: 1 });
  const asked = await Promise.allSettled(Array.from({ length: 15 }, () => user.job(job.id)));
  const codes = asked.map((outcome) => (outcome.status === 'rejected' ? outcome.reason.code : 'ok'));
  expect(codes.filter((code) => code === 'ok')).toHaveLength(10);
  expect(codes.filter((code) => code === 'LIMIT_EXCEEDED')).toHaveLength(5);
  expect(first).not.toBe('');
  await cluster.stop();
});

test('a user has so many connections to a socket; root may always come in', async () => {
  const directory = await mkdtemp('/tmp/hf-limits-');
  const socketPath = join(directory, 'agent.sock');
  let uid = 1000;
  const errors: string[] = [];
  const tools = await serveTools({
    ...{ socketPath, node: 'n1', maxConnectionsOfUser: 2 },
    peerCredentials: () => ({ pid: 1, uid, gid: uid }),
    services: () => [],
    onError: ({ message }) => errors.push(message),
  });
  /** Whether the server keeps the connection: an HTTP/2 server speaks first. */
  const attempt = () =>
    new Promise<Socket | null>((resolve) => {
      const socket = connect(socketPath);
      socket.once('data', () => resolve(socket));
      socket.once('close', () => resolve(null));
      socket.on('error', () => {});
    });
  const [one, two] = [await attempt(), await attempt()];
  expect([one, two]).not.toContain(null);
  expect([await attempt(), await attempt()]).toEqual([null, null]);
  expect(errors).toEqual(['uid 1000 has 2 connections open already']);
  uid = 0;
  const ofRoot = await attempt();
  expect(ofRoot).not.toBeNull();
  uid = 1000;
  one?.destroy();
  let again = await attempt();
  while (again === null) again = await attempt();
  for (const socket of [two, ofRoot, again]) socket?.destroy();
  await tools.close();
  await rm(directory, { recursive: true, force: true });
});
