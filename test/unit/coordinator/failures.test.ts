/** The failure rate: what is counted, and that it survives; generations that are to blame; back-off. */
import { mkdtemp, rm } from 'node:fs/promises';
import { Redis } from 'ioredis';
import type { Context } from '../../../coordinator/context';
import { mtbfMs } from '../../../coordinator/failures/estimate';
import { followFailures } from '../../../coordinator/failures/follow';
import { FailureTally } from '../../../coordinator/failures/tally';
import { backoffMs, decideAfterLoss } from '../../../coordinator/jobs/policy';
import { openRedis } from '../../../coordinator/redis/open';
import { chooseGeneration, judge } from '../../../coordinator/restart/generations';
import { Signal } from '../../../coordinator/signal';
import type { ErrorCode } from '../../../core/errors';
import { Job, Node } from '../../../proto/gen/holdfast/v1/coordinator';
import { RestartPolicy } from '../../../proto/gen/holdfast/v1/manifest';
import { ManualClock } from './support/manualClock';

const HOUR = 3_600_000;

test('failures and uptime are counted, and survive the coordinator', async () => {
  const directory = await mkdtemp('/tmp/hf-');
  const opened = await openRedis({ url: undefined, stateDirectory: directory, report: () => {} });
  const redis = new Redis({ ...opened.connection });
  try {
    const clock = new ManualClock();
    const tally = await FailureTally.load(redis, clock, 1000);
    await tally.setNodes(4);
    clock.advance(10 * HOUR);
    await tally.nodeLost(false);
    await tally.setNodes(3);
    const stop = tally.keep(() => {});
    clock.advance(10 * HOUR);
    stop();
    const observed = { failures: 1, uptimeMs: 70 * HOUR };
    expect(tally.now).toEqual(observed);
    await redis.ping();
    const next = await FailureTally.load(redis, clock, 1000);
    expect(next.now).toEqual(observed);
    expect(mtbfMs(next.now)).toBe(395 * HOUR);

    // All at once: it was the coordinator that was cut off. One of before is not forgotten for it.
    clock.advance(2000);
    await next.nodeLost(false);
    await next.nodeLost(false);
    await next.nodeLost(true);
    expect(next.now.failures).toBe(1);
  } finally {
    redis.disconnect();
    await opened.close();
    await rm(directory, { recursive: true, force: true });
  }
});

test('what counts as a failure: a loss that nobody wanted, and that is not our own', () => {
  const alive = new Set(['n1', 'n2', 'n3']);
  const [lost, changed] = [new Signal<string>(), new Signal<Node>()];
  const counted: string[] = [];
  const drained = { sinceMs: 1, reason: '', restart: false };
  const failures = {
    setNodes: async (count: number) => counted.push(`${count} nodes`),
    nodeLost: async (isAll: boolean) => counted.push(isAll ? 'all' : 'one'),
    keep: () => () => {},
  };
  const drains = { find: (name: string) => (name === 'n2' ? drained : undefined) };
  const fleet = {
    ...{ lost, changed },
    states: () => ['n1', 'n2', 'n3'].map((name) => (alive.has(name) ? 'connected' : 'lost')),
    get aliveCount() {
      return alive.size;
    },
  };
  const context = { failures, drains, fleet } as unknown as Context;
  const stop = followFailures(context);
  for (const name of ['n1', 'n2', 'n3']) {
    alive.delete(name);
    changed.emit(Node.fromPartial({ name }));
    lost.emit(name);
  }
  expect(counted).toEqual(['2 nodes', 'one', '1 nodes', '0 nodes', 'all']);
  stop();
  lost.emit('n1');
  expect(counted).toHaveLength(5);
});

describe('which generation a restart begins from', () => {
  const known = (generation: number, quarantine = '') => ({ generation, quarantine });

  test('the newest; also one that the catalog does not know', () => {
    expect(chooseGeneration(3, [known(2), known(3)])).toEqual({ generation: 3, reason: 'generation 3' });
    expect(chooseGeneration(3, [known(2)])).toMatchObject({ generation: 3 });
  });

  test('the next older one when it is in quarantine, and why', () => {
    expect(chooseGeneration(3, [known(1), known(3, 'CORRUPT: x'), known(2)])).toEqual({
      generation: 2,
      reason: 'generation 2, the newest that is not in quarantine (3: CORRUPT: x)',
    });
  });

  test('none when there is none, or none is good', () => {
    expect(chooseGeneration(0, [])).toEqual({ generation: null, reason: 'no checkpoint was committed' });
    expect(chooseGeneration(1, [known(1, 'OBJECT_MISSING: y')])).toEqual({
      generation: null,
      reason: 'all generations are in quarantine (1: OBJECT_MISSING: y)',
    });
  });

  test.each<[ErrorCode, number, boolean | null]>([
    ['CORRUPT', 0, true],
    ['OBJECT_MISSING', 0, true],
    ['UNKNOWN_FORMAT', 0, true],
    ['CRIU_FAILED', 0, false],
    ['CRIU_FAILED', 1, true],
    ['FILE_CHANGED', 0, false],
    ['NODE_LOST', 5, null],
    ['TIMEOUT', 5, null],
    ['STORE_UNAVAILABLE', 5, null],
    ['KEY_UNAVAILABLE', 5, null],
    ['NO_CAPABLE_NODE', 5, null],
  ])('%s after %d failures: quarantine %s', (code, failedRestarts, expected) => {
    const verdict = judge({ failedRestarts }, { code, message: 'because' }, false);
    expect(verdict === null ? null : verdict.quarantine !== '').toBe(expected);
    if (verdict !== null) expect(verdict.failedRestarts).toBe(failedRestarts + 1);
  });

  test.each<[ErrorCode, number, boolean]>([
    ['CORRUPT', 0, false],
    ['CORRUPT', 1, true],
    ['OBJECT_MISSING', 0, false],
    ['UNKNOWN_FORMAT', 0, true],
  ])(
    '%s after %d failures of one whose objects are all there: quarantine %s',
    (code, failedRestarts, expected) => {
      const verdict = judge({ failedRestarts }, { code, message: 'because' }, true);
      expect(verdict?.quarantine !== '').toBe(expected);
    },
  );
});

test('a restart that follows others without a checkpoint waits longer each time', () => {
  expect([0, 1, 2, 3, 20].map((count) => backoffMs(count, 0))).toEqual([0, 10_000, 20_000, 40_000, 600_000]);
  expect([1, 2].map((count) => backoffMs(count, 500))).toEqual([500, 1000]);
  const job = Job.fromPartial({
    spec: { restartPolicy: RestartPolicy.ANY_NODES, maxRestarts: 9 },
    restartsSinceCommit: 2,
  });
  expect(decideAfterLoss(job, 'node n1 was lost', { generation: 4, reason: 'generation 4' })).toEqual({
    restart: true,
    delayMs: 20_000,
    reason: 'node n1 was lost; restarting from generation 4 in 20 s: 2 restarts since the last checkpoint',
  });
  const none = { generation: null, reason: 'no checkpoint was committed' } as const;
  expect(decideAfterLoss(job, 'node n1 was lost', none)).toMatchObject({
    restart: false,
    reason: 'node n1 was lost; no checkpoint was committed',
  });
});
