/** Simulated agents: what they measure, and that a real coordinator takes them for real ones. */
import { HoldfastError } from '../../core/errors';
import { JobState } from '../../proto/gen/holdfast/v1/coordinator';
import { Barriers, type SimulationEvent } from '../simulator/barriers';
import { addressOf, nodeName } from '../simulator/names';
import { parseSimulatorOptions, USAGE } from '../simulator/options';
import { Simulation } from '../simulator/simulation';
import { Summary } from '../simulator/summary';
import { FakeCluster } from './coordinator/support/cluster';

describe('barriers', () => {
  function observed() {
    const told: SimulationEvent[] = [];
    const clock = { nowMs: 0 };
    const barriers = new Barriers(
      (event) => told.push(event),
      () => clock.nowMs,
      () => 1_700_000_000_000,
    );
    return { told, clock, barriers };
  }

  test('from the last Captured to the last Release, whatever the order of the nodes', () => {
    const { told, clock, barriers } = observed();
    for (const _ of ['a', 'b']) barriers.preparing('j', 7);
    for (const nowMs of [10, 50]) {
      clock.nowMs = nowMs;
      barriers.captured('j', 7);
    }
    clock.nowMs = 60;
    barriers.released('j', 7, 'b');
    clock.nowMs = 75;
    barriers.released('j', 7, 'a');
    expect(told).toEqual([
      { event: 'begun', job: 'j', timeMs: 1_700_000_000_000 },
      { event: 'barrier', job: 'j', nodes: 2, barrierMs: 25 },
    ]);
  });

  test('a node that is released before all have captured is told (B1)', () => {
    const { told, barriers } = observed();
    for (const _ of ['a', 'b']) barriers.preparing('j', 7);
    barriers.captured('j', 7);
    barriers.released('j', 7, 'a');
    expect(told.at(-1)).toEqual({ event: 'broken', job: 'j', node: 'a' });
  });

  test('an abort is told once, and what an older attempt still says counts for nothing', () => {
    const { told, barriers } = observed();
    for (const _ of ['a', 'b']) barriers.preparing('j', 7);
    for (const _ of ['a', 'b']) barriers.aborted('j', 7, 'why');
    barriers.preparing('j', 8);
    barriers.captured('j', 7);
    barriers.aborted('j', 7, 'again');
    expect(told.map(({ event }) => event)).toEqual(['begun', 'aborted', 'begun']);
  });

  test('the summary for people begins anew each time', () => {
    const summary = new Summary();
    expect(summary.take()).toBeNull();
    summary.add({ event: 'barrier', job: 'j', nodes: 2, barrierMs: 25 });
    expect(summary.take()).toContain('1 barriers passed (median 25.0 ms, p99 25.0 ms)');
    expect(summary.take()).toBeNull();
  });
});

test('the command line', () => {
  const where = ['--coordinator', '127.0.0.1:7020'];
  expect(parseSimulatorOptions([...where, '--agents', '7'])).toEqual({
    ...{ coordinator: '127.0.0.1:7020', agents: 7, tlsDirectory: null, paceMs: 200, seed: 1, json: false },
  });
  expect(parseSimulatorOptions(['--help'])).toBeNull();
  for (const argv of [[], ['--coordinator', 'head'], [...where, '--agents', '0'], [...where, '--nonsense']])
    expect(() => parseSimulatorOptions(argv)).toThrow(HoldfastError);
  for (const option of ['--agents', '--tls', '--pace', '--seed', '--json']) expect(USAGE).toContain(option);
});

test('names and addresses differ for every node', () => {
  expect([nodeName(7), addressOf(0), addressOf(255), addressOf(65_535)]).toEqual([
    'sim00007',
    '10.0.0.1',
    '10.0.1.0',
    '10.1.0.0',
  ]);
});

describe('with a coordinator', () => {
  const told: SimulationEvent[] = [];
  let cluster: FakeCluster;
  let simulation: Simulation;

  beforeAll(async () => {
    cluster = await FakeCluster.start([], undefined, { leaseMs: 5_000, heartbeatMs: 500 });
    const { address: coordinator } = cluster;
    simulation = await Simulation.start(
      { coordinator, agents: 4, tlsDirectory: null, paceMs: 20, seed: 1 },
      (event) => told.push(event),
    );
  });
  afterAll(async () => {
    simulation.close();
    await cluster.stop();
  });
  beforeEach(() => told.splice(0));

  async function jobOn(nodes: number) {
    const user = cluster.user(1000, nodeName(0));
    const { id } = await user.submit({ nodes: [nodeName(0)] });
    for (let index = 1; index < nodes; index += 1) await user.member(id, addressOf(index));
    return { user, id };
  }

  test('a job of several nodes is checkpointed, and the barrier measured', async () => {
    const { user, id } = await jobOn(3);
    const { phase, error, summary } = await user.checkpoint(id);
    expect({ phase, error, nodes: summary?.nodes.length }).toEqual({ phase: 'DONE', nodes: 3 });
    expect(told).toEqual([
      { event: 'begun', job: id, timeMs: expect.any(Number) },
      { event: 'barrier', job: id, nodes: 3, barrierMs: expect.any(Number) },
    ]);
  });

  test('and restarted after it was stopped', async () => {
    const { user, id } = await jobOn(2);
    expect((await user.checkpoint(id, true)).phase).toBe('DONE');
    const { phase, error } = await user.restart(id);
    expect({ phase, error }).toEqual({ phase: 'RUNNING' });
    expect((await user.job(id)).state).toBe(JobState.RUNNING);
    expect((await user.checkpoint(id)).phase).toBe('DONE');
  });
});
