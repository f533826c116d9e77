/** Ticks of schedules on a real Redis, under a clock of the test's, with coordinators that end at any moment. */
import { mkdtemp, rm } from 'node:fs/promises';
import type { Redis } from 'ioredis';
import type { Context } from '../../../coordinator/context';
import { FailureTally } from '../../../coordinator/failures/tally';
import { type OpenedRedis, openRedis } from '../../../coordinator/redis/open';
import { followSchedules } from '../../../coordinator/schedule/follow';
import { ScheduleTable } from '../../../coordinator/schedule/table';
import { tick } from '../../../coordinator/schedule/tick';
import { Decisions } from '../../../coordinator/state/decisions';
import { JobTable } from '../../../coordinator/state/jobs';
import { type OperationRecord, OperationTable } from '../../../coordinator/state/operations';
import { openLog } from '../../../core/log';
import { CheckpointSummary, Job, JobState, Schedule } from '../../../proto/gen/holdfast/v1/coordinator';
import type { JobSpec } from '../../../proto/gen/holdfast/v1/manifest';
import { ManualClock } from './support/manualClock';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

let directory: string;
let opened: OpenedRedis;
let redis: Redis;
let clock: ManualClock;
let site: Site;

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

beforeEach(async () => {
  await redis.flushall();
  clock = new ManualClock();
  site = await Site.start();
});

/** A coordinator's part that makes ticks, with queues of the test's. */
class Site {
  readonly rings = new Map<string, { dueMs: number; atMs: number }>();
  readonly added: OperationRecord[] = [];
  gatheringMs = 0;

  private constructor(
    readonly context: Context,
    readonly stop: () => void,
  ) {}

  static async start(): Promise<Site> {
    const log = openLog('test', 'silent');
    let site: Site | undefined;
    const early: [string, number, number][] = [];
    const queues = {
      ring: async (job: string, dueMs: number, atMs: number) => {
        if (site === undefined) early.push([job, dueMs, atMs]);
        else site.rings.set(job, { dueMs, atMs });
      },
      silence: async (job: string) => site?.rings.delete(job),
      add: async (record: OperationRecord) => site?.added.push(record),
    };
    const context = {
      ...{ clock, log, redis, queues },
      gathering: { remainingMs: () => site?.gatheringMs ?? 0 },
      jobs: await JobTable.load(redis),
      operations: await OperationTable.load(redis),
      schedules: await ScheduleTable.load(redis),
      failures: await FailureTally.load(redis, clock, 1000),
      decisions: new Decisions(redis, clock, log),
    } as unknown as Context;
    site = new Site(context, followSchedules(context));
    for (const [job, dueMs, atMs] of early) site.rings.set(job, { dueMs, atMs });
    return site;
  }

  async run(id: string, spec: Partial<JobSpec>, more: Partial<Job> = {}): Promise<void> {
    const trees = [{ treeId: 'main', node: 'n1', rootPid: 1, main: true }];
    const job = { id, spec, state: JobState.RUNNING, incarnation: 1, trees, createdMs: clock.wallMs() };
    await this.context.jobs.put(Job.fromPartial({ ...job, ...more }));
  }

  next(id: string) {
    return this.context.schedules.find(id)?.next ?? null;
  }

  /** Time passes until the job's bell rings, and its tick is made. */
  async ring(id: string): Promise<Awaited<ReturnType<typeof tick>>> {
    const ring = this.rings.get(id);
    if (ring === undefined) throw new Error(`nothing rings for ${id}`);
    this.rings.delete(id);
    if (ring.atMs > clock.wallMs()) clock.advance(ring.atMs - clock.wallMs());
    return tick(this.context, id, ring.dueMs);
  }

  async end(id: string, cost: { heldMs: number; durationMs: number }): Promise<void> {
    for (const record of this.context.operations.openOf(id)) {
      const summary = CheckpointSummary.fromPartial({ job: id, ...cost });
      const endedMs = clock.wallMs() + cost.durationMs;
      await this.context.operations.put({
        ...record,
        operation: { ...record.operation, phase: 'DONE', summary, endedMs },
      });
    }
  }

  async decisions(id: string): Promise<string[]> {
    return (await this.context.decisions.of(id)).map(({ subject, reason }) => `${subject}: ${reason}`);
  }
}

const COST = { heldMs: 1800, durationMs: 20_000 };

test('a tick begins a checkpoint, and the next one is on the grid', async () => {
  await site.run('j-1', { intervalMs: MINUTE });
  const sinceMs = clock.wallMs();
  expect(await site.ring('j-1')).toHaveProperty('operation');
  expect(clock.wallMs()).toBe(sinceMs + MINUTE);
  expect(site.added).toMatchObject([{ request: { periodic: true, urgency: 'normal' } }]);
  expect(site.next('j-1')).toMatchObject({ dueMs: sinceMs + 2 * MINUTE, kind: 'every' });
});

test('a tick that was replaced, or taken, is nobody’s', async () => {
  await site.run('j-1', { intervalMs: MINUTE });
  const { dueMs } = site.next('j-1') ?? { dueMs: 0 };
  const outcomes = await Promise.all([
    tick(site.context, 'j-1', dueMs),
    tick(site.context, 'j-1', dueMs),
    tick(site.context, 'j-1', dueMs - 1),
  ]);
  expect(outcomes.filter((outcome) => 'operation' in outcome)).toHaveLength(1);
  expect(site.context.operations.openOf('j-1')).toHaveLength(1);
  // Whatever rang wrongly: the right bell is set.
  expect(site.rings.get('j-1')?.dueMs).toBe(site.next('j-1')?.dueMs);
});

test('while a checkpoint is in flight a tick is skipped, with its reason; the last before the deadline is not', async () => {
  await site.run('j-1', { intervalMs: MINUTE }, { deadlineMs: clock.wallMs() + 6 * MINUTE });
  await site.ring('j-1');
  expect(await site.ring('j-1')).toMatchObject({ skipped: expect.stringContaining('is at QUEUED') });
  expect(await site.decisions('j-1')).toContainEqual(
    expect.stringMatching(/^checkpoint: skipped: operation o-/),
  );
  await site.ring('j-1');
  expect(site.next('j-1')).toMatchObject({ kind: 'deadline' });
  expect(await site.ring('j-1')).toHaveProperty('operation');
  expect(site.added.at(-1)).toMatchObject({ request: { urgency: 'high' } });
  // Nothing more before the deadline.
  expect(site.next('j-1')?.dueMs).toBe(1_000_000 + 7 * MINUTE);
});

test('ticks wait until all nodes have registered after a loss of Redis', async () => {
  await site.run('j-1', { intervalMs: MINUTE });
  site.gatheringMs = 5000;
  const { dueMs } = site.next('j-1') ?? {};
  expect(await site.ring('j-1')).toHaveProperty('skipped');
  expect(site.rings.get('j-1')).toEqual({ dueMs, atMs: clock.wallMs() + 5000 });
  site.gatheringMs = 0;
  expect(await site.ring('j-1')).toHaveProperty('operation');
});

test('an adaptive schedule follows what a checkpoint costs, and what fails', async () => {
  await site.run('j-1', { adaptive: true });
  expect(site.next('j-1')?.reason).toContain('interval 300 s: no cost is known yet');
  await site.ring('j-1');
  await site.end('j-1', COST);
  expect(site.next('j-1')?.reason).toMatch(/^interval 3054 s: cost 1.8 s, MTBF 720 h from 0 failures/);
  for (let i = 0; i < 9; i++) await site.context.failures.nodeLost(false);
  expect(site.next('j-1')?.reason).toMatch(/^interval 965 s: cost 1.8 s, MTBF 72 h from 9 failures/);
  expect(await site.decisions('j-1')).toHaveLength(11);
});

test('a schedule can be told, whatever the mean of the costs is, and whatever earlier versions stored', async () => {
  await site.run('j-1', { adaptive: true });
  for (const heldMs of [1800, 1801]) {
    await site.ring('j-1');
    await site.end('j-1', { heldMs, durationMs: 20_000 + heldMs });
  }
  const tell = (id: string) => Schedule.encode(Schedule.fromPartial(site.next(id) ?? {})).finish();
  expect(tell('j-1').length).toBeGreaterThan(0);
  await site.run('j-2', { adaptive: true });
  expect(tell('j-2').length).toBeGreaterThan(0);

  const record = site.context.schedules.find('j-1');
  if (!record?.next) throw new Error('no tick');
  const next = { ...record.next, dueMs: record.next.dueMs + 0.4, startMs: record.next.startMs + 0.4 };
  await site.context.schedules.save('j-1', { ...record, next });
  site.stop();
  site = await Site.start();
  expect(site.next('j-1')).toEqual(record.next);
  expect(site.rings.get('j-1')?.dueMs).toBe(record.next.dueMs);
});

test('a job whose schedule cannot be planned is stored, and stops no coordinator', async () => {
  // Beyond the end of the calendar; such a job is refused, but may have been stored before that was so.
  await site.run('j-1', {}, { deadlineMs: 8.65e15 });
  site.stop();
  site = await Site.start();
  expect(site.context.jobs.find('j-1')).toMatchObject({ state: JobState.RUNNING });
  await site.run('j-2', { intervalMs: MINUTE });
  expect(await site.ring('j-2')).toHaveProperty('operation');
});

test('a tick that is due is not moved by what becomes known before it is taken', async () => {
  await site.run('j-1', { intervalMs: MINUTE }, { deadlineMs: clock.wallMs() + HOUR });
  await site.ring('j-1');
  const due = site.next('j-1');
  clock.advance(1.5 * MINUTE);
  await site.end('j-1', COST);
  expect(site.next('j-1')).toEqual(due);
  expect(await site.ring('j-1')).toHaveProperty('operation');

  await site.run('j-2', { adaptive: true });
  const adaptive = site.next('j-2');
  clock.advance(HOUR);
  await site.context.failures.nodeLost(false);
  expect(site.next('j-2')).toEqual(adaptive);
});

test('an adaptive schedule becomes denser when a job grows', async () => {
  await site.run('j-1', { adaptive: true });
  await site.ring('j-1');
  await site.end('j-1', COST);
  const alone = site.next('j-1')?.dueMs ?? 0;
  const tree = (number: number) => ({
    ...{ treeId: `m${number}`, node: `n${number}`, rootPid: 1, main: false },
  });
  const joined = [2, 3, 4].map(tree);
  await site.context.jobs.update('j-1', ({ trees }) => ({ trees: [...trees, ...joined] }));
  expect(site.next('j-1')?.reason).toMatch(/^interval 1526 s: cost 1.8 s, MTBF 180 h on 4 nodes/);
  expect(site.rings.get('j-1')?.dueMs).toBeLessThan(alone);
});

test('the same interval from other figures is no decision worth keeping', async () => {
  await site.run('j-1', { adaptive: true });
  for (let i = 0; i < 3; i++) {
    await site.ring('j-1');
    await site.end('j-1', COST);
  }
  expect(await site.decisions('j-1')).toHaveLength(2);
});

test.each<[string, Partial<JobSpec>]>([
  ['an interval', { intervalMs: 10 * MINUTE }],
  ['a calendar', { cron: '*/10 * * * *' }],
  ['an adaptive one', { adaptive: true }],
])('a clock that is set back stops no schedule: %s', async (_, spec) => {
  clock.advance(10 * HOUR);
  await site.run('j-1', spec);
  await site.ring('j-1');
  await site.end('j-1', { heldMs: 1, durationMs: 1000 });
  clock.setBack(3 * HOUR);
  clock.advance(MINUTE);
  const { dueMs, atMs } = site.rings.get('j-1') ?? { dueMs: 0, atMs: 0 };
  expect(dueMs - clock.wallMs()).toBeLessThanOrEqual(10 * MINUTE);
  expect(atMs).toBeGreaterThanOrEqual(dueMs);
  expect(await site.ring('j-1')).toHaveProperty('operation');
});

test('a ring that was lost rings again', async () => {
  await site.run('j-1', { intervalMs: 10 * MINUTE });
  site.rings.clear();
  clock.advance(12 * MINUTE);
  expect(await site.ring('j-1')).toHaveProperty('operation');
});

test('jobs that are due together begin one after the other', async () => {
  for (const id of ['j-1', 'j-2', 'j-3']) await site.run(id, { intervalMs: HOUR });
  const starts = ['j-1', 'j-2', 'j-3'].map((id) => (site.next(id)?.startMs ?? 0) - clock.wallMs() - HOUR);
  expect(starts).toEqual([0, 10_000, 20_000]);
  expect(site.next('j-2')?.reason).toBe('every 3600 s; begins later, another one is planned then');
  expect(site.rings.get('j-3')?.atMs).toBe(site.next('j-3')?.startMs);
});

test('a job that is restarted begins its schedule anew, and keeps what is known of its cost', async () => {
  await site.run('j-1', { adaptive: true });
  await site.ring('j-1');
  await site.end('j-1', COST);
  const { jobs } = site.context;
  await jobs.update('j-1', () => ({ state: JobState.RESTARTING, incarnation: 2 }));
  expect(site.next('j-1')).toBeNull();
  expect(site.rings.has('j-1')).toBe(false);
  clock.advance(HOUR);
  await jobs.update('j-1', () => ({ state: JobState.RUNNING }));
  expect(site.next('j-1')?.reason).toContain('cost 1.8 s');
  expect(site.next('j-1')?.dueMs).toBeGreaterThan(clock.wallMs());
});

test('of a job that has ended nothing is kept', async () => {
  await site.run('j-1', { intervalMs: HOUR });
  await site.context.jobs.update('j-1', () => ({ state: JobState.COMPLETED }));
  expect(site.rings.size).toBe(0);
  site.stop();
  site = await Site.start();
  expect(site.context.schedules.all()).toEqual([]);
});

test('a job that was only cut off goes on with its schedule', async () => {
  await site.run('j-1', { intervalMs: HOUR });
  await site.context.jobs.update('j-1', () => ({ state: JobState.LOST }));
  await site.context.jobs.update('j-1', () => ({ state: JobState.RUNNING }));
  expect(site.rings.get('j-1')?.dueMs).toBe(site.next('j-1')?.dueMs);
});

test('after an absence a due tick is made at once, once, and says for how many', async () => {
  await site.run('j-1', { intervalMs: MINUTE });
  site.stop();
  clock.advance(5.5 * MINUTE);
  site = await Site.start();
  expect(site.rings.get('j-1')?.atMs).toBeLessThan(clock.wallMs());
  expect(await site.ring('j-1')).toHaveProperty('operation');
  expect(await site.decisions('j-1')).toContain('checkpoint: makes up for 5 ticks that were missed');
  expect(site.next('j-1')?.dueMs).toBe(1_000_000 + 6 * MINUTE);
});

test.each([
  ['2026-03-28T12:00Z', ['2026-03-29T01:30Z', '2026-03-30T01:30Z', '2026-03-31T01:30Z']],
  ['2026-10-23T12:00Z', ['2026-10-24T01:30Z', '2026-10-25T02:30Z', '2026-10-26T02:30Z']],
])('a calendar holds across a change of the clock and restarts, from %s', async (from, expected) => {
  site.stop();
  clock.advance(Date.parse(from) - clock.wallMs());
  site = await Site.start();
  await site.run('j-1', { cron: '30 3 * * *', timeZone: 'Europe/Berlin' });
  const made: string[] = [];
  for (let day = 0; day < expected.length; day++) {
    site.stop();
    clock.advance(HOUR);
    site = await Site.start();
    expect(await site.ring('j-1')).toHaveProperty('operation');
    made.push(new Date(clock.wallMs()).toISOString().replace(':00.000Z', 'Z'));
    await site.end('j-1', COST);
  }
  expect(made).toEqual(expected);
});

const SEED = Number(process.env.HOLDFAST_TEST_SEED ?? 20_260_329);

test(`no tick is lost or made twice, whenever coordinators end (HOLDFAST_TEST_SEED=${SEED})`, async () => {
  const random = generator(SEED);
  const ids = ['j-1', 'j-2', 'j-3', 'j-4'];
  const minutes = [1, 7, 60];
  for (const [i, id] of ids.entries()) {
    const spec = { intervalMs: (minutes[i] ?? 0) * MINUTE, cron: i === 3 ? '*/13 * * * *' : '' };
    await site.run(id, spec);
  }
  const startMs = clock.wallMs();
  const begun = new Map<string, number[]>(ids.map((id) => [id, []]));
  let restarts = 0;
  for (let step = 0; step < 600; step++) {
    if (random() < 0.15) {
      // It ends, and with it everything that was not durable; another one starts some time later.
      site.stop();
      clock.advance(Math.floor(random() * 90) * 1000);
      site = await Site.start();
      restarts++;
    }
    const [id] = [...site.rings].sort(([, a], [, b]) => a.atMs - b.atMs)[0] ?? [];
    if (id === undefined) throw new Error('nothing rings any more');
    const dueMs = site.rings.get(id)?.dueMs ?? 0;
    const lateMs = clock.wallMs() - dueMs;
    if (random() < 0.1) {
      // It ends in the middle of the tick, before that is stored.
      site.context.operations.put = () => new Promise(() => {});
      void site.ring(id);
      site.stop();
      site = await Site.start();
      restarts++;
      continue;
    }
    const outcome = await site.ring(id);
    if (random() < 0.1) {
      // It ends just after: the next one finds the operation, and no second one is made for the tick.
      site.stop();
      site = await Site.start();
      restarts++;
    }
    expect({ id, outcome }).toMatchObject({ outcome: { operation: expect.any(String) } });
    expect(site.context.operations.openOf(id)).toHaveLength(1);
    begun.get(id)?.push(dueMs);
    expect(lateMs).toBeLessThan(90_000 + 5 * MINUTE);
    await site.end(id, { heldMs: 10, durationMs: 100 });
  }
  expect(restarts).toBeGreaterThan(50);
  for (const [i, id] of ids.entries()) {
    const due = begun.get(id) ?? [];
    const intervalMs = (minutes[i] ?? 13) * MINUTE;
    // Every tick between the first and the last is there, except those that an absence made one of.
    for (const [n, ms] of due.slice(1).entries()) {
      const gapMs = ms - (due[n] ?? 0);
      expect(gapMs).toBeGreaterThan(0);
      if (i === 3) expect(gapMs).toBeLessThanOrEqual(intervalMs);
      else expect(gapMs % intervalMs).toBe(0);
      if (i > 0) expect(gapMs).toBeLessThanOrEqual(intervalMs);
    }
    expect(due[0]).toBeLessThanOrEqual(startMs + intervalMs);
  }
});

/** Mulberry32. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
