/** What the schedules rely on: a bell rings once, for the last time it was set, and not after it was silenced. */
import { mkdtemp, rm } from 'node:fs/promises';
import type { Redis } from 'ioredis';
import { Queues } from '../../../coordinator/queues/queues';
import { type OpenedRedis, openRedis } from '../../../coordinator/redis/open';
import { openLog } from '../../../core/log';

let directory: string;
let opened: OpenedRedis;
let redis: Redis;
let queues: Queues;
const rung: string[] = [];
let term = 0;
let onRing: () => void = () => {};

beforeAll(async () => {
  directory = await mkdtemp('/tmp/hf-');
  opened = await openRedis({ url: undefined, stateDirectory: directory, report: () => {} });
  redis = opened.connect();
});

afterAll(async () => {
  redis.disconnect();
  await opened.close();
  await rm(directory, { recursive: true, force: true });
});

beforeEach(() => start());
afterEach(() => queues.close());

async function start(): Promise<void> {
  rung.length = 0;
  queues = new Queues(opened.connect(), ++term, openLog('test', 'silent'));
  await queues.clear(redis);
  queues.start({
    runOperation: async () => {},
    tick: async (job, dueMs) => {
      rung.push(`${job} ${dueMs}`);
      onRing();
      return { skipped: 'a test' };
    },
  });
}

/** Until it has rung so often. */
const rings = (count: number) =>
  new Promise<void>((resolve) => {
    onRing = () => rung.length >= count && resolve();
    onRing();
  });

test('it rings for the last time it was set, at once when that has passed, and once', async () => {
  const nowMs = Date.now();
  await queues.ring('a', 1, nowMs + 3_600_000);
  await queues.ring('b', 3, nowMs - 5_000);
  await rings(1);
  await queues.ring('a', 2, Date.now() + 200);
  await rings(2);
  expect(rung).toEqual(['b 3', 'a 2']);
  // Set again for a tick whose time is the same, as after a coordinator's start.
  await queues.ring('a', 4, Date.now() + 200);
  await rings(3);
  expect(rung).toEqual(['b 3', 'a 2', 'a 4']);
});

test('it does not ring when it was silenced, nor for a coordinator of before', async () => {
  const nowMs = Date.now();
  await queues.ring('a', 1, nowMs + 150);
  await queues.ring('b', 2, nowMs + 150);
  await queues.silence('a');
  queues.close();
  await start();
  await queues.ring('c', 3, nowMs + 300);
  await rings(1);
  expect(rung).toEqual(['c 3']);
});
