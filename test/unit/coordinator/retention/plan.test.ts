/** Which generations stay, and the reason that is given. */
import { holdsOf } from '../../../../coordinator/retention/holds';
import { type Generation, planRetention, type RetentionInput } from '../../../../coordinator/retention/plan';
import { formatPolicy, KEEP_ALL } from '../../../../core/retention';
import { Job, JobState } from '../../../../proto/gen/holdfast/v1/coordinator';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** A Saturday. */
const NOW_MS = Date.UTC(2026, 10, 28, 12, 30);

const generation = (number: number, ageMs: number, objects: Record<string, number> = {}): Generation => ({
  generation: number,
  epoch: 9,
  ckptId: 100 + number,
  createdMs: NOW_MS - ageMs,
  objects: new Map(Object.entries(objects)),
});

const plan = (input: Partial<RetentionInput>) =>
  planRetention({
    policy: KEEP_ALL,
    generations: [],
    holds: new Map(),
    endedMs: null,
    nowMs: NOW_MS,
    ...input,
  });

const fates = (input: Partial<RetentionInput>) =>
  plan(input).map(({ generation, kept, reason }) => `${generation.generation} ${kept ? '+' : '-'} ${reason}`);

const hourly = (count: number) =>
  Array.from({ length: count }, (_, i) => generation(i + 1, (count - 1 - i) * HOUR_MS));

test('without a rule that keeps, all stay', () => {
  expect(fates({ generations: hourly(2) })).toEqual([
    '1 + no rule limits how many are kept',
    '2 + no rule limits how many are kept',
  ]);
});

test('the last ones, counted from the newest', () => {
  expect(fates({ generations: hourly(4), policy: { ...KEEP_ALL, keepLast: 2 } })).toEqual([
    '1 - not wanted by last=2',
    '2 - not wanted by last=2',
    '3 + last: 2 of 2',
    '4 + last: 1 of 2',
  ]);
});

test('what any rule wants stays, with each reason', () => {
  const policy = { ...KEEP_ALL, keepLast: 1, keepHourly: 2, keepDaily: 2, keepWeekly: 3 };
  const generations = [
    generation(1, 14 * DAY_MS),
    generation(2, 5 * DAY_MS),
    generation(3, DAY_MS),
    generation(4, HOUR_MS),
    generation(5, 60_000),
    generation(6, 0),
  ];
  expect(fates({ generations, policy })).toEqual([
    '1 + weekly: newest of 2026-W46, 2 of 3',
    '2 - not wanted by last=1,hourly=2,daily=2,weekly=3',
    '3 + daily: newest of 2026-11-27, 2 of 2',
    '4 + hourly: newest of 2026-11-28T11h, 2 of 2',
    '5 - not wanted by last=1,hourly=2,daily=2,weekly=3',
    '6 + last: 1 of 1; hourly: newest of 2026-11-28T12h, 1 of 2; daily: newest of 2026-11-28, 1 of 2; weekly: newest of 2026-W48, 1 of 3',
  ]);
});

test('weeks are those of ISO 8601, also around New Year', () => {
  const policy = { ...KEEP_ALL, keepWeekly: 9 };
  const at = (number: number, year: number, month: number, day: number): Generation => ({
    ...generation(number, 0),
    createdMs: Date.UTC(year, month - 1, day, 23, 59),
  });
  const generations = [
    at(1, 2024, 12, 29),
    at(2, 2024, 12, 30),
    at(3, 2026, 12, 31),
    at(4, 2027, 1, 3),
    at(5, 2027, 1, 4),
  ];
  expect(fates({ generations, policy }).map((text) => /W\d\d|not wanted/.exec(text)?.[0])).toEqual([
    'W52',
    'W01',
    'not wanted',
    'W53',
    'W01',
  ]);
});

test('age removes what a rule wants', () => {
  const policy = { ...KEEP_ALL, keepLast: 9, maxAgeMs: 2 * HOUR_MS };
  expect(fates({ generations: hourly(4), policy })).toEqual([
    '1 - older than 2h',
    '2 + last: 3 of 9',
    '3 + last: 2 of 9',
    '4 + last: 1 of 9',
  ]);
});

test('size removes the oldest, counts shared objects once and leaves the newest', () => {
  const generations = [
    generation(1, 3, { base: 100, a: 10 }),
    generation(2, 2, { base: 100, b: 20 }),
    generation(3, 1, { base: 100, c: 30 }),
  ];
  expect(fates({ generations, policy: { ...KEEP_ALL, maxBytes: 160 } })).toEqual([
    '1 + no rule limits how many are kept',
    '2 + no rule limits how many are kept',
    '3 + no rule limits how many are kept',
  ]);
  const decisions = plan({ generations, policy: { ...KEEP_ALL, maxBytes: 150 } });
  expect(decisions.map(({ kept, freedBytes }) => [kept, freedBytes])).toEqual([
    [false, 10],
    [true, 0],
    [true, 0],
  ]);
  expect(decisions[0]?.reason).toBe('the oldest, and all together are over 150B');
  expect(plan({ generations, policy: { ...KEEP_ALL, maxBytes: 1 } }).map(({ kept }) => kept)).toEqual([
    false,
    false,
    true,
  ]);
});

test('so long after the end of the job everything goes but what is held', () => {
  const input = {
    generations: hourly(3),
    policy: { ...KEEP_ALL, keepLast: 9, afterEndMs: DAY_MS },
    holds: new Map([[2, 'pinned']]),
  };
  expect(fates({ ...input, endedMs: NOW_MS - DAY_MS })).toEqual([
    '1 - the job ended more than 1d ago',
    '2 + pinned',
    '3 - the job ended more than 1d ago',
  ]);
  expect(plan({ ...input, endedMs: NOW_MS - DAY_MS + 1 }).every(({ kept }) => kept)).toBe(true);
});

describe('what must stay', () => {
  const holds = (job: Partial<Job>, more: Partial<Parameters<typeof holdsOf>[0]> = {}) =>
    [
      ...holdsOf({
        job: Job.fromPartial(job),
        generations: [3, 4, 5],
        pinned: new Set(),
        quarantined: new Set(),
        restarts: new Map(),
        exported: new Set(),
        ...more,
      }).keys(),
    ].sort();

  test.each([
    [JobState.STARTING, true],
    [JobState.RUNNING, true],
    [JobState.RESTARTING, true],
    [JobState.STOPPED, true],
    [JobState.LOST, true],
    [JobState.COMPLETED, false],
    [JobState.FAILED, false],
  ])('the newest while the job may need it: %s %s', (state, isHeld) => {
    expect(holds({ state })).toEqual(isHeld ? [5] : []);
  });

  test('the newest that is not in quarantine, too', () => {
    expect(holds({ state: JobState.RUNNING }, { quarantined: new Set([5]) })).toEqual([4, 5]);
    expect(holds({ state: JobState.STOPPED }, { quarantined: new Set([4, 5]) })).toEqual([3, 5]);
    expect(holds({ state: JobState.RUNNING }, { quarantined: new Set([3, 4, 5]) })).toEqual([5]);
    expect(holds({ state: JobState.FAILED }, { quarantined: new Set([5]) })).toEqual([]);
    expect(holds({ state: JobState.STOPPED }, { quarantined: new Set([5]), isAsked: true })).toEqual([]);
  });

  test('its owner may give up what was stopped, but not what runs or may come back', () => {
    expect(holds({ state: JobState.STOPPED }, { isAsked: true })).toEqual([]);
    expect(holds({ state: JobState.RUNNING }, { isAsked: true })).toEqual([5]);
    const trees = [{ treeId: 'main', node: 'n1', rootPid: 1, main: true }];
    expect(holds({ state: JobState.LOST, trees }, { isAsked: true })).toEqual([5]);
  });

  test('what a running job was restarted from, until it has committed another one', () => {
    expect(holds({ state: JobState.RUNNING, restoredGeneration: 3 })).toEqual([3, 5]);
    expect(holds({ state: JobState.COMPLETED, restoredGeneration: 3 })).toEqual([]);
  });

  test('pins, and what restarts and exports read', () => {
    const more = { pinned: new Set([3]), restarts: new Map([['o-1', 4]]), exported: new Set([5]) };
    expect(holds({ state: JobState.FAILED }, more)).toEqual([3, 4, 5]);
  });
});

test('policies in words', () => {
  expect(formatPolicy(KEEP_ALL)).toBe('all');
  const policy = {
    keepLast: 3,
    keepHourly: 24,
    keepDaily: 7,
    keepWeekly: 4,
    maxAgeMs: 36 * HOUR_MS,
    maxBytes: 2 ** 30,
    afterEndMs: 7 * DAY_MS,
  };
  expect(formatPolicy(policy)).toBe('last=3,hourly=24,daily=7,weekly=4,age=36h,size=1GiB,end=7d');
});
