/** Leases and commands, on a clock that the test moves. */
import pino from 'pino';
import { Fleet } from '../../../coordinator/sessions/fleet';
import { Leases } from '../../../coordinator/sessions/leases';
import type { Link } from '../../../coordinator/sessions/member';
import type { HoldfastError } from '../../../core/errors';
import { Register, type SessionRequest, type SessionResponse } from '../../../proto/gen/holdfast/v1/agent';
import { Node } from '../../../proto/gen/holdfast/v1/coordinator';
import { ManualClock } from './support/manualClock';

const TIMES = { leaseMs: 1000, heartbeatMs: 200 };

class FakeLink implements Link {
  readonly sent: SessionResponse[] = [];
  closed: HoldfastError | null = null;

  send(response: SessionResponse): void {
    this.sent.push(response);
  }

  close(reason: HoldfastError): void {
    this.closed = reason;
  }

  get commandIds(): string[] {
    return this.sent.flatMap(({ message }) => (message?.$case === 'command' ? [message.value.id] : []));
  }
}

let clock: ManualClock;
let fleet: Fleet;
let lost: string[];

beforeEach(() => {
  clock = new ManualClock();
  fleet = new Fleet(clock, TIMES, pino({ level: 'silent' }));
  lost = [];
  fleet.lost.subscribe((node) => lost.push(node));
});

const register = (instance = 'one') => Register.fromPartial({ node: 'n1', instance, facts: {} });
const request = (message: SessionRequest['message']): SessionRequest => ({ message });
const beat = (link: Link) =>
  fleet.receive('n1', link, request({ $case: 'heartbeat', value: { sequence: 1, filling: [] } }));
const answer = (link: Link, id: string) =>
  fleet.receive(
    'n1',
    link,
    request({ $case: 'result', value: { id, error: undefined, body: { $case: 'done', value: {} } } }),
  );
const scope = { job: 'j', generation: 1, epoch: 2 };
const kill = (timeoutMs = 60_000) =>
  fleet.command('n1', { $case: 'kill', value: { signal: 9, belowIncarnation: 0 } }, scope, { timeoutMs });

function connect(instance = 'one'): FakeLink {
  const link = new FakeLink();
  fleet.connect(register(instance), link);
  return link;
}

test('a lease lives as long as heartbeats come, and not much longer', () => {
  const link = connect();
  for (let i = 0; i < 20; i++) {
    clock.advance(200);
    beat(link);
  }
  expect(lost).toEqual([]);
  clock.advance(999);
  expect(lost).toEqual([]);
  clock.advance(101);
  expect(lost).toEqual(['n1']);
  expect(link.closed).toMatchObject({ code: 'NODE_LOST' });
  expect(fleet.isAlive('n1')).toBe(false);
});

test('every heartbeat is acknowledged by its number', () => {
  const link = connect();
  fleet.receive('n1', link, request({ $case: 'heartbeat', value: { sequence: 41, filling: [] } }));
  expect(link.sent.at(-1)?.message).toEqual({ $case: 'heartbeatAck', value: { sequence: 41 } });
});

test('a coordinator that was stopped itself blames no node', () => {
  const link = connect();
  clock.stall(30_000);
  expect(lost).toEqual([]);
  beat(link);
  clock.advance(900);
  expect(lost).toEqual([]);
  // And a node that really is gone is still found.
  clock.advance(300);
  expect(lost).toEqual(['n1']);
});

test('after a return within the lease the same agent gets its commands again, once answered no more', async () => {
  const first = connect();
  const result = kill();
  fleet.disconnect('n1', first, 'broken');
  expect(fleet.isAlive('n1')).toBe(true);
  const second = connect();
  expect(second.commandIds).toEqual(first.commandIds);
  answer(second, second.commandIds[0] ?? '');
  await expect(result).resolves.toEqual({});
  expect(connect().commandIds).toEqual([]);
});

test('a command given while the node is away waits for its return', async () => {
  fleet.disconnect('n1', connect(), 'broken');
  const result = kill();
  const link = connect();
  expect(link.commandIds).toHaveLength(1);
  answer(link, link.commandIds[0] ?? '');
  await expect(result).resolves.toEqual({});
});

test('another agent process fails what the old one owed', async () => {
  fleet.disconnect('n1', connect('one'), 'broken');
  const waiting = kill();
  const sent = connect('one');
  expect(sent.commandIds).toHaveLength(1);
  connect('two');
  await expect(waiting).rejects.toMatchObject({
    code: 'NODE_LOST',
    message: expect.stringContaining('restarted'),
  });
});

test('the end of the lease fails what is waited for', async () => {
  fleet.disconnect('n1', connect(), 'broken');
  const result = kill();
  clock.advance(1200);
  await expect(result).rejects.toMatchObject({
    code: 'NODE_LOST',
    message: 'node n1 was lost: its lease ended',
  });
  await expect(kill()).rejects.toMatchObject({ code: 'NODE_UNAVAILABLE' });
});

test('a node that is silent for too long must register again', () => {
  const link = connect();
  clock.advance(1200);
  beat(link);
  expect(fleet.isAlive('n1')).toBe(false);
  connect();
  expect(fleet.isAlive('n1')).toBe(true);
});

test('a second session of a node ends the first, whose messages count no more', () => {
  const first = connect();
  const second = connect();
  expect(first.closed).toMatchObject({ code: 'ABORTED' });
  clock.advance(900);
  beat(first);
  clock.advance(300);
  expect(lost).toEqual(['n1']);
  expect(second.closed).toMatchObject({ code: 'NODE_LOST' });
});

test('a command has its own time, and leaves no timer', async () => {
  const link = connect();
  const idle = clock.timers;
  const result = kill(300);
  clock.advance(100);
  beat(link);
  clock.advance(250);
  await expect(result).rejects.toMatchObject({
    code: 'TIMEOUT',
    message: 'node n1 did not answer kill within 0.3 s',
  });
  answer(link, link.commandIds[0] ?? '');
  const other = kill();
  answer(link, link.commandIds[1] ?? '');
  await other;
  expect(clock.timers).toBe(idle);
});

test("an agent's error carries the node's name; an answer to something else is refused", async () => {
  const link = connect();
  const failing = kill();
  const error = { code: 'CRIU_FAILED', message: 'no', remedy: 'r' };
  const id = link.commandIds[0] ?? '';
  fleet.receive('n1', link, request({ $case: 'result', value: { id, error, body: undefined } }));
  await expect(failing).rejects.toMatchObject({ code: 'CRIU_FAILED', message: 'node n1: no', remedy: 'r' });
  const odd = kill();
  const body = { $case: 'captured', value: { capturedBytes: 1 } } as const;
  fleet.receive(
    'n1',
    link,
    request({ $case: 'result', value: { id: link.commandIds[1] ?? '', error: undefined, body } }),
  );
  await expect(odd).rejects.toMatchObject({
    code: 'INTERNAL',
    message: 'node n1 answered kill with captured',
  });
});

test('nodes of before a start are waited for, and lost when they do not come', async () => {
  fleet.expect([Node.fromPartial({ name: 'n1', alive: true })]);
  expect(fleet.isSettling).toBe(true);
  expect(fleet.isAlive('n1')).toBe(false);
  const result = kill();
  clock.advance(1900);
  expect(lost).toEqual([]);
  const link = connect();
  expect(link.commandIds).toHaveLength(1);
  answer(link, link.commandIds[0] ?? '');
  await result;
  fleet.expect([Node.fromPartial({ name: 'n2' })]);
  clock.advance(2200);
  expect(lost).toContain('n2');
  expect(fleet.isSettling).toBe(false);
});

test('renewal is seen from now on, not from before', async () => {
  const link = connect();
  beat(link);
  let outcome = '';
  void fleet.awaitRenewal('n1').then((value) => {
    outcome = value;
  });
  await Promise.resolve();
  expect(outcome).toBe('');
  beat(link);
  await Promise.resolve();
  expect(outcome).toBe('renewed');
  expect(await fleet.awaitRenewal('unknown')).toBe('lost');
});

test('closing leases stops the clock', () => {
  const before = clock.timers;
  const leases = new Leases(clock, TIMES, () => {});
  leases.renew('n9');
  leases.close();
  expect(clock.timers).toBe(before);
});

test('when all nodes are lost and one returns, the others are waited for: the coordinator was cut off', () => {
  fleet.expect([Node.fromPartial({ name: 'n2' })]);
  connect();
  clock.advance(3000);
  expect(lost.sort()).toEqual(['n1', 'n2']);
  expect(fleet.isSettling).toBe(false);
  connect();
  expect(fleet.isSettling).toBe(true);
  clock.advance(2200);
  expect(fleet.isSettling).toBe(false);
});

test('what a node still hosts after it was lost is what it says', () => {
  const tree = { job: 'j', treeId: 'main', incarnation: 1 };
  connect();
  expect(fleet.stillHosts('n1', tree)).toBe(true);
  clock.advance(1200);
  expect(fleet.stillHosts('n1', tree)).toBe(false);
  connect();
  expect(fleet.stillHosts('n1', tree)).toBe(false);
  fleet.connect({ ...register(), trees: [{ ...tree, rootPid: 1 }] }, new FakeLink());
  expect(fleet.stillHosts('n1', tree)).toBe(true);
  expect(fleet.stillHosts('n1', { ...tree, incarnation: 2 })).toBe(false);
});

test('a tree whose end was told is not hosted, also while Register still names it', () => {
  const tree = { job: 'j', treeId: 'main', incarnation: 1 };
  connect();
  clock.advance(1200);
  const link = new FakeLink();
  fleet.connect({ ...register(), trees: [{ ...tree, rootPid: 1 }] }, link);
  expect(fleet.stillHosts('n1', tree)).toBe(true);
  const ended = { ...tree, exitCode: 1, signal: undefined, memoryLost: '', seatGone: false };
  fleet.receive('n1', link, request({ $case: 'treeEnded', value: ended }));
  expect(fleet.stillHosts('n1', tree)).toBe(false);
});

test('every welcome of one coordinator has the same instance, another coordinator has its own', () => {
  const instanceOf = (link: FakeLink) => {
    const [first] = link.sent;
    return first?.message?.$case === 'welcome' ? first.message.value.instance : '';
  };
  const instances = [connect(), connect()].map(instanceOf);
  const link = new FakeLink();
  new Fleet(clock, TIMES, pino({ level: 'silent' })).connect(register(), link);
  expect(instances[0]).toMatch(/./);
  expect(instances[1]).toBe(instances[0]);
  expect(instanceOf(link)).not.toBe(instances[0]);
});
