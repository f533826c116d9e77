/** Several coordinators on one Redis: one leads, the others stand by and take over (A1 to A5). */
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { credentials } from '@grpc/grpc-js';
import type { Redis } from 'ioredis';
import pino from 'pino';
import { Lease } from '../../../agent/lease';
import { Connection } from '../../../agent/session/connection';
import { Coordinators } from '../../../agent/session/coordinators';
import { Reservations } from '../../../coordinator/catalog/reservations';
import { systemClock } from '../../../coordinator/clock';
import { fencedRedis } from '../../../coordinator/leadership/fence';
import { currentLeader, takeLease } from '../../../coordinator/leadership/lease';
import { admitWrites } from '../../../coordinator/leadership/store';
import { Term } from '../../../coordinator/leadership/term';
import { type Coordinator, startCoordinator } from '../../../coordinator/main';
import { connectRedis } from '../../../coordinator/redis/connect';
import { parseRedisUrl } from '../../../coordinator/redis/url';
import { Counters } from '../../../coordinator/state/counters';
import { KEYS } from '../../../coordinator/state/keys';
import { OperationTable } from '../../../coordinator/state/operations';
import { channelOptions } from '../../../core/rpc/channel';
import { invoke } from '../../../core/rpc/handlers';
import { AgentServiceClient } from '../../../proto/gen/holdfast/v1/agent';
import {
  CoordinatorServiceClient,
  JobState,
  Operation,
  type WatchResponse,
} from '../../../proto/gen/holdfast/v1/coordinator';
import { LiveMode } from '../../../proto/gen/holdfast/v1/manifest';
import { openStore } from '../../../store/open';
import { withGuard } from '../../../store/wrappers';
import { MemoryStore } from '../../contract/memoryStore';
import { RedisServers } from '../../harness/redisServers';
import { freePort } from '../../rgw/port';
import { User } from './support/cluster';
import { FakeAgent } from './support/fakeAgent';
import { ManualClock } from './support/manualClock';

const LEASE_MS = 600;
/** Sentinels that were late themselves do nothing for half a minute. */
const DEADLINE_MS = 60_000;

async function until(what: string, isThere: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadlineMs = Date.now() + DEADLINE_MS; Date.now() < deadlineMs; await delay(20))
    if (await isThere()) return;
  throw new Error(`${what}: not within ${DEADLINE_MS} ms`);
}

describe('the lease and the fence', () => {
  let servers: RedisServers;
  let redis: Redis;

  beforeAll(async () => {
    const single = await RedisServers.single();
    servers = single.servers;
    redis = connectRedis(parseRedisUrl(single.url));
  });
  beforeEach(() => redis.flushall());
  afterAll(async () => {
    redis.disconnect();
    await servers.stop();
  });

  const candidate = (owner: string) => ({ owner, address: `${owner}:7020` });
  const fenced = (token: string | null) => {
    const refused: number[] = [];
    return { redis: fencedRedis(redis, { token, onRefused: () => refused.push(1) }), refused };
  };

  test('one holds the lease at a time, and terms grow, also after a loss of Redis', async () => {
    const first = await takeLease(redis, candidate('a'), 60_000, false);
    expect(first?.term).toBeGreaterThanOrEqual(Math.floor(Date.now() / 1000) - 5);
    expect(await takeLease(redis, candidate('b'), 60_000, false)).toBeNull();
    expect(await currentLeader(redis)).toMatchObject({ address: 'a:7020' });
    await redis.del(KEYS.leader);
    const second = await takeLease(redis, candidate('b'), 60_000, false);
    expect(second?.term).toBeGreaterThan(first?.term ?? 0);
    // A coordinator that is alone waits for nobody.
    const third = await takeLease(redis, candidate('c'), 60_000, true);
    expect(third?.term).toBeGreaterThan(second?.term ?? 0);
    await redis.flushall();
    const last = await takeLease(redis, candidate('d'), 60_000, false);
    expect(last?.term).toBeGreaterThanOrEqual(Math.floor(Date.now() / 1000) - 5);
    expect(last?.token).not.toBe(third?.token);
  });

  test('writes of an older term are refused as a whole, whatever they are (A2)', async () => {
    const old = await takeLease(redis, candidate('a'), 60_000, true);
    const writer = fenced(old?.token ?? null);
    expect(await writer.redis.hset('{holdfast}:x', { a: '1', b: '2' })).toBe(2);
    expect(await writer.redis.incr('{holdfast}:n')).toBe(1);
    expect(await writer.redis.set('{holdfast}:s', '1', 'EX', 60)).toBe('OK');
    expect(await writer.redis.set('{holdfast}:s', '2', 'NX')).toBeNull();
    const many = Object.fromEntries(Array.from({ length: 9_000 }, (_, i) => [`f${i}`, 'v']));
    await writer.redis.hset('{holdfast}:many', many);
    expect(await redis.hlen('{holdfast}:many')).toBe(9_000);
    await writer.redis.hdel('{holdfast}:many', ...Object.keys(many));
    expect(await redis.exists('{holdfast}:many')).toBe(0);

    await takeLease(redis, candidate('b'), 60_000, true);
    const before = await redis.hgetall('{holdfast}:x');
    const refusal = { code: 'COORDINATOR_UNAVAILABLE' };
    await expect(writer.redis.hset('{holdfast}:x', 'a', '9')).rejects.toMatchObject(refusal);
    await expect(writer.redis.incr('{holdfast}:n')).rejects.toMatchObject(refusal);
    const step = writer.redis.multi().hset('{holdfast}:x', 'c', '3').hdel('{holdfast}:x', 'a');
    await expect(step.exec()).rejects.toMatchObject(refusal);
    expect(writer.refused).toHaveLength(3);
    expect(await redis.hgetall('{holdfast}:x')).toEqual(before);
    expect(await redis.get('{holdfast}:n')).toBe('1');
    // Who stands by writes nothing; what is no command of the coordinator is refused before it is sent.
    await expect(fenced(null).redis.hset('{holdfast}:x', 'a', '9')).rejects.toMatchObject(refusal);
    expect(() => writer.redis.flushall()).toThrow(/no command that the fence knows/);
  });

  test('no checkpoint id is given twice, whatever Redis forgets', async () => {
    const store = new MemoryStore();
    const leader = async () => {
      const counters = new Counters(redis, systemClock, await Reservations.open(store));
      counters.passReservedIds();
      return counters;
    };
    const given = new Set<number>();
    const give = async (counters: Counters, count: number) => {
      for (let i = 0; i < count; i++) {
        const id = await counters.nextCheckpointId();
        expect(given.has(id)).toBe(false);
        given.add(id);
      }
    };
    const first = await leader();
    await give(first, 3);
    expect([...given]).toEqual([1, 2, 3]);
    await redis.set(KEYS.checkpointId, '1');
    await give(first, 40);
    expect(Math.max(...given)).toBe(43);
    await redis.set(KEYS.checkpointId, '5');
    await give(await leader(), 2);
    await redis.flushall();
    await give(await leader(), 2);
    // One that is late, of who leads no more, takes nothing back.
    await store.putIfAbsent('ids/checkpoint/000000000032', Buffer.from(''));
    await redis.flushall();
    await give(await leader(), 40);
    expect([...store.objects.keys()]).toHaveLength(1);
  });

  test('of ended operations so many are kept, the newest', async () => {
    const held = await takeLease(redis, candidate('a'), 60_000, true);
    const table = await OperationTable.load(fenced(held?.token ?? null).redis, 5);
    const request = { kind: 'checkpoint', stop: false, periodic: false, live: LiveMode.AUTO } as const;
    const ids = Array.from({ length: 8 }, (_, at) => `o-${at}`);
    for (const id of ids)
      await table.put({
        operation: Operation.fromPartial({ id, job: 'j-1', phase: 'DONE', endedMs: 1 }),
        request: { ...request, urgency: 'high', drains: '', cause: '' },
        ...{ nodes: [], manifest: null, hasReleased: true },
      });
    expect(await redis.lrange(KEYS.endedOperations, 0, -1)).toEqual(ids.slice(3));
    const kept = await redis.keys(KEYS.endedOperation('o-*'));
    expect(kept.sort()).toEqual(ids.slice(3).map(KEYS.endedOperation));
  });

  test('a lease counts from when its renewal was sent, by the clock that has gone furthest (A1)', async () => {
    const clock = new ManualClock();
    const parts = {
      redis,
      clock,
      log: pino({ level: 'silent' }),
      leaseMs: 3_000,
      address: 'a:1',
      isAlone: false,
    };
    const take = async () => {
      const askedAt = { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
      const held = await takeLease(redis, candidate('a'), 60_000, true);
      if (held === null) throw new Error('not taken');
      return new Term(parts, held, askedAt);
    };
    const renewed = async (term: Term) => {
      clock.advance(1_000);
      await redis.ping();
      await redis.ping();
      return term.isHeld;
    };
    const term = await take();
    const reasons: string[] = [];
    term.over.subscribe((reason) => reasons.push(reason));
    for (let i = 0; i < 5; i++) expect(await renewed(term)).toBe(true);
    // The machine was suspended: only the calendar knows.
    clock.setBack(-4_000);
    expect(term.isHeld).toBe(false);
    expect(() => term.requireHeld()).toThrow(/does not lead any more/);
    expect(reasons).toEqual(['its lease has ended']);

    const next = await take();
    next.over.subscribe((reason) => reasons.push(reason));
    // Nobody has taken it: a lease that has ended is renewed all the same.
    await redis.del(KEYS.leader);
    expect(await renewed(next)).toBe(true);
    await takeLease(redis, candidate('b'), 60_000, true);
    await expect(next.confirm()).rejects.toMatchObject({ code: 'COORDINATOR_UNAVAILABLE' });
    expect(reasons[1]).toMatch(/another coordinator leads/);

    // Nor does it write to the store; a manifest is not even written when only Redis knows (A3).
    const memory = new MemoryStore();
    const last = await take();
    const store = withGuard(memory, admitWrites(last));
    await store.put('jobs/x', Buffer.from('1'));
    expect(await store.putIfAbsent('manifests/x', Buffer.from('1'))).toBe(true);
    await takeLease(redis, candidate('b'), 60_000, true);
    await expect(store.delete('manifests/x')).rejects.toMatchObject({ code: 'COORDINATOR_UNAVAILABLE' });
    await expect(store.delete('jobs/x')).rejects.toMatchObject({ code: 'COORDINATOR_UNAVAILABLE' });
    expect([...memory.objects.keys()]).toEqual(['jobs/x', 'manifests/x']);
    expect(clock.timers).toBe(0);
  });
});

describe.each(['single', 'sentinels', 'cluster'] as const)('two coordinators on Redis: %s', (kind) => {
  let directory: string;
  let servers: RedisServers;
  let url: string;
  let masterPort = 0;
  const all: Coordinator[] = [];
  const agents: FakeAgent[] = [];
  const users: User[] = [];

  beforeAll(async () => {
    directory = await mkdtemp('/tmp/hf-');
    const started = await RedisServers[kind]();
    ({ servers, url } = started);
    if ('masterPort' in started) masterPort = started.masterPort as number;
  }, 60_000);
  afterAll(async () => {
    for (const agent of agents) agent.close();
    for (const { client } of users) client.close();
    for (const coordinator of all) await coordinator.close();
    await servers.stop();
    await rm(directory, { recursive: true, force: true });
  }, 30_000);

  async function start(name: string): Promise<Coordinator> {
    const coordinator = await startCoordinator(
      {
        ...{
          listen: '127.0.0.1:0',
          insecureLoopback: true,
          redisUrl: url,
          leaseMs: LEASE_MS,
          heartbeatMs: 50,
        },
        ...{ leaderLeaseMs: LEASE_MS * 2, metrics: '0', logLevel: process.env.HOLDFAST_TEST_LOG ?? 'silent' },
        stateDirectory: join(directory, name),
        storeUrl: `file://${join(directory, 'store')}`,
        toolsSocket: join(directory, `${name}.sock`),
      },
      { peerCredentials: () => ({ pid: 1, uid: 0, gid: 0 }), clock: systemClock },
    );
    all.push(coordinator);
    return coordinator;
  }
  const user = (address: string, uid = 0): User => {
    const made = new User(address, uid, 'n1');
    users.push(made);
    return made;
  };

  test('one leads; the other one answers reads, names the leader, and takes over', async () => {
    const a = await start('a');
    const b = await start('b');
    expect([a.leads, b.leads]).toEqual([true, false]);
    const store = openStore(`file://${join(directory, 'store')}`);
    const address = a.address;
    const agent = new FakeAgent({ address, node: 'n1', ip: '10.0.0.1', store });
    agents.push(agent);
    await agent.connect();
    const asked = user(a.address);
    const { id } = await asked.submit({ nodes: ['n1'] });
    const other = user(b.address);
    const [toldByLeader, toldByStandby] = [heard(asked, id), heard(other, id)];
    await until('both watch', () => toldByLeader.length > 0 && toldByStandby.length > 0);
    const { phase, ckptId, id: first } = await asked.checkpoint(id);
    expect(phase).toBe('DONE');
    const last = (told: readonly WatchResponse[]) => told.at(-1)?.eventId;
    await until(
      'both have told the same',
      () => isToldDone(toldByStandby, first) && last(toldByLeader) === last(toldByStandby),
    );
    expect(toldByLeader.slice(1).filter(isState)).toEqual(
      toldByStandby.slice(1).map((told) => ({ ...told, timeMs: expect.any(Number) })),
    );
    const lastOfLeader = toldByLeader.filter(isState).at(-1)?.eventId ?? '';

    await delay(600);
    expect(await other.job(id)).toMatchObject({ state: JobState.RUNNING, lastGeneration: 1 });
    expect((await other.nodes()).map(({ name, alive }) => ({ name, alive }))).toEqual([
      { name: 'n1', alive: true },
    ]);
    const { client, metadata } = other;
    const { checkpoints } = await invoke(client, client.listCheckpoints, { job: id }, { metadata });
    expect(checkpoints.map((each) => each.ckptId)).toEqual([ckptId]);
    expect((await invoke(client, client.getCheckpoint, { ckptId }, { metadata })).manifest?.header?.job).toBe(
      id,
    );
    expect((await invoke(client, client.listJobs, { all: true }, { metadata })).jobs).toHaveLength(1);
    expect((await invoke(client, client.explainRetention, { job: id }, { metadata })).decisions).toHaveLength(
      1,
    );
    expect((await invoke(client, client.getUsage, {}, { metadata })).users).toHaveLength(1);
    // Others' jobs are nobody's business here either.
    await expect(user(b.address, 4711).job(id)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    const refusal = {
      code: 'COORDINATOR_UNAVAILABLE',
      message: `this coordinator stands by: ${a.address} leads`,
    };
    await expect(other.requestCheckpoint(id)).rejects.toMatchObject(refusal);
    const refused = new FakeAgent({ address: b.address, node: 'n2', ip: '10.0.0.2', store });
    agents.push(refused);
    await expect(refused.connect()).rejects.toMatchObject(refusal);
    const readiness = await (await fetch(`http://${b.metricsAddress}/readyz`)).text();
    expect(readiness).toBe(`ready: stands by, ${a.address} leads\n`);
    const metrics = await (await fetch(`http://${b.metricsAddress}/metrics`)).text();
    expect(metrics).toContain('holdfast_coordinator_leader 0');

    // As if the server that is lost took its last writes with it: no id is given again.
    const lossy = connectRedis(parseRedisUrl(url));
    expect(await lossy.decr(KEYS.checkpointId)).toBe(ckptId - 1);
    lossy.disconnect();
    if (masterPort !== 0) await servers.kill(masterPort);
    // Without its Redis that takes longer than a node may be away.
    const closed = a.close();
    all.splice(all.indexOf(a), 1);
    await until('the other one leads', () => b.leads);
    const back = new FakeAgent({ address: b.address, node: 'n1', ip: '10.0.0.1', store });
    agents.push(back);
    back.host(id, 'main', 1);
    await until('the agent is back', () =>
      back.connect().then(
        () => true,
        () => false,
      ),
    );
    await closed;
    const second = await other.checkpoint(id);
    expect(second.phase).toBe('DONE');
    expect(second.ckptId).toBeGreaterThan(ckptId);
    expect((await other.job(id)).lastGeneration).toBe(2);
    // Who watched the one that is gone goes on at the other one: nothing is missing, and nothing comes twice.
    const resumed = heard(other, id, lastOfLeader);
    await until(
      'the rest was told',
      () => isToldDone(resumed, second.id) && isToldDone(toldByStandby, second.id),
    );
    const states = resumed.filter(isState);
    const at = toldByStandby.findIndex(({ eventId }) => eventId === lastOfLeader);
    expect(states.map(({ eventId }) => eventId)).toEqual(
      toldByStandby
        .slice(at + 1)
        .filter(isState)
        .map(({ eventId }) => eventId),
    );
    expect(resumed.some(({ gap }) => gap)).toBe(false);
    const phases = states.flatMap(({ event }) =>
      event?.$case === 'operation' && event.value.id === second.id ? event.value.phase : [],
    );
    expect(phases).toEqual(['QUEUED', 'PREPARE', 'CAPTURE', 'RELEASE', 'UPLOAD', 'COMMIT', 'DONE']);
    // Of an event that nobody knows the present state is what there is to tell.
    const afterUnknown = heard(other, id, '1-1');
    await until('the present state', () => afterUnknown.length > 0);
    expect(afterUnknown[0]).toMatchObject({
      gap: true,
      event: { $case: 'job', value: { lastGeneration: 2 } },
    });
    const after = await (await fetch(`http://${b.metricsAddress}/metrics`)).text();
    expect(after).toContain('holdfast_coordinator_leader 1');
    expect(after).toContain('holdfast_jobs{state="running"} 1');
  }, 120_000);
});

/** What is told of a job from now on. */
function heard(user: User, job: string, after = ''): WatchResponse[] {
  const told: WatchResponse[] = [];
  const listen = async () => {
    for await (const event of user.watch({ $case: 'job', value: job }, after)) told.push(event);
  };
  // It ends with its coordinator.
  listen().catch(() => undefined);
  return told;
}

const isState = ({ event }: WatchResponse): boolean => event?.$case !== 'progress';

const isToldDone = (told: readonly WatchResponse[], operation: string): boolean =>
  told.some(
    ({ event }) =>
      event?.$case === 'operation' && event.value.id === operation && event.value.phase === 'DONE',
  );

test('a loss of all that Redis held is a new beginning: from the store, with what the nodes host (C4)', async () => {
  const directory = await mkdtemp('/tmp/hf-');
  const { servers, url } = await RedisServers.single();
  const redis = connectRedis(parseRedisUrl(url));
  const store = openStore(`file://${join(directory, 'store')}`);
  const coordinator = await startCoordinator(
    {
      ...{ listen: '127.0.0.1:0', insecureLoopback: true, redisUrl: url, leaseMs: LEASE_MS, heartbeatMs: 50 },
      ...{ leaderLeaseMs: LEASE_MS, stateDirectory: join(directory, 'a'), logLevel: 'silent' },
      ...{ storeUrl: `file://${join(directory, 'store')}`, toolsSocket: join(directory, 'a.sock') },
    },
    { peerCredentials: () => ({ pid: 1, uid: 0, gid: 0 }) },
  );
  const { address } = coordinator;
  const agent = await new FakeAgent({ address, node: 'n1', ip: '10.0.0.1', store }).connect();
  agent.returns = true;
  const user = new User(address, 0, 'n1');
  const { id } = await user.submit({ nodes: ['n1'] });
  const first = await user.checkpoint(id);
  const term = Number((await redis.get(KEYS.term))?.split(' ')[0]);

  await redis.flushall();
  await until('a new term', async () => Number((await redis.get(KEYS.term))?.split(' ')[0]) >= term);
  await until('the job runs on', async () => {
    const job = await user.job(id).catch(() => null);
    return job?.state === JobState.RUNNING && job.lastGeneration === 1;
  });
  const second = await user.checkpoint(id);
  expect(second).toMatchObject({ phase: 'DONE', generation: 2 });
  expect(second.epoch).toBeGreaterThan(first.epoch);
  expect(second.ckptId).toBeGreaterThan(first.ckptId);
  expect(agent.commands('kill')).toEqual([]);
  agent.close();
  user.client.close();
  await coordinator.close();
  redis.disconnect();
  await servers.stop();
  await rm(directory, { recursive: true, force: true });
}, 120_000);

test('an agent with a list finds the leader, and the next one', async () => {
  const directory = await mkdtemp('/tmp/hf-');
  const { servers, url } = await RedisServers.single();
  const start = async (name: string) => {
    const listen = `127.0.0.1:${await freePort('127.0.0.1')}`;
    const coordinator = await startCoordinator(
      {
        ...{ listen, insecureLoopback: true, redisUrl: url, leaseMs: LEASE_MS, leaderLeaseMs: LEASE_MS },
        ...{ stateDirectory: join(directory, name), storeUrl: `file://${join(directory, 'store')}` },
        ...{ toolsSocket: join(directory, `${name}.sock`), logLevel: 'silent', heartbeatMs: 50 },
      },
      { peerCredentials: () => ({ pid: 1, uid: 0, gid: 0 }) },
    );
    return coordinator;
  };
  const a = await start('a');
  const b = await start('b');
  const insecure = credentials.createInsecure();
  const coordinators = new Coordinators(
    [b.address, a.address].map((address) => ({
      address,
      agents: new AgentServiceClient(address, insecure, channelOptions()),
      users: new CoordinatorServiceClient(address, insecure, channelOptions()),
    })),
  );
  const welcomes: { address: string; isOther: boolean }[] = [];
  const lease = new Lease(() => {});
  const connection = new Connection({
    client: coordinators,
    lease,
    trees: { all: () => [], unreportedEnds: () => [], forget: () => {} },
    log: pino({ level: 'silent' }),
    register: () => ({
      node: 'n1',
      facts: {
        ...{ hostname: 'n1', kernelRelease: '6', criuVersion: '4.2', architecture: 'x86_64', cpuFlags: [] },
        ...{ addresses: [], memoryBytes: 1, cpuModel: '', cpuCount: 1 },
      } as never,
      version: 'test',
    }),
    filling: () => [],
    execute: () => Promise.reject(new Error('no command')),
    onWelcome: (isOther) => welcomes.push({ address: coordinators.address, isOther }),
  });
  connection.open();
  await until('the leader welcomes it', () => welcomes.length === 1);
  await a.close();
  await until('the next one welcomes it', () => welcomes.length === 2);
  expect(welcomes).toEqual([
    { address: a.address, isOther: false },
    { address: b.address, isOther: true },
  ]);
  lease.close();
  connection.close();
  await b.close();
  await servers.stop();
  await rm(directory, { recursive: true, force: true });
}, 60_000);
