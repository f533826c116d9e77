/** When the next checkpoint by schedule is due, and why: formulas, calendars, deadlines, staggering. */
import { mtbfMs } from '../../../coordinator/failures/estimate';
import { checkCalendar, nextTime } from '../../../coordinator/schedule/cron';
import { adaptiveInterval, daly } from '../../../coordinator/schedule/interval';
import { isScheduled, missedBetween, nextTick, type PlanInput } from '../../../coordinator/schedule/plan';
import { stagger, staggerWindowMs } from '../../../coordinator/schedule/stagger';
import { meanCost, withCost } from '../../../coordinator/schedule/table';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

describe('interval', () => {
  test.each([
    [1440, 116.69],
    [360, 56.71],
    [15, 9.14],
  ])('Daly, cost 5 min, MTBF %d min: %d min', (mtbf, expected) => {
    expect(daly(5, mtbf)).toBeCloseTo(expected, 2);
  });

  /** τ = M·(1 + W0(−exp(−δ/M − 1))), solved for s = τ/M: s + ln(1 − s) = −δ/M. */
  const exact = (cost: number, mtbf: number) => {
    let [low, high] = [0, 1];
    for (let i = 0; i < 100; i++) {
      const middle = (low + high) / 2;
      if (-middle - Math.log1p(-middle) < cost / mtbf) low = middle;
      else high = middle;
    }
    return low * mtbf;
  };

  test('is within 1 % of the exact optimum wherever the cost is far below the MTBF', () => {
    expect(exact(5, 15)).toBeCloseTo(9.17, 2);
    for (const mtbf of [15, 60, 360, 1440, 100_000])
      expect(Math.abs(daly(5, mtbf) / exact(5, mtbf) - 1)).toBeLessThan(0.01);
  });

  test('is the MTBF when a checkpoint costs twice as much or more', () => {
    expect(daly(10, 5)).toBe(5);
    expect(daly(1000, 5)).toBe(5);
  });

  test('comes with its reason: cost, MTBF, failures and prior', () => {
    const observed = { failures: 4, uptimeMs: 3140 * HOUR };
    expect(mtbfMs(observed)).toBe(772 * HOUR);
    const cost = { heldMs: 1800, durationMs: 20_000 };
    expect(adaptiveInterval(cost, observed, 1)).toEqual({
      intervalMs: Math.round(daly(1800, 772 * HOUR)),
      reason: 'interval 3162 s: cost 1.8 s, MTBF 772 h from 4 failures in 3140 h (prior: 1 in 720 h)',
    });
    expect(adaptiveInterval(cost, observed, 16).reason).toContain('MTBF 48.3 h on 16 nodes from 4 failures');
  });

  test('is never below the time of one checkpoint with its upload', () => {
    const cost = { heldMs: 1800, durationMs: 2 * HOUR };
    const { intervalMs, reason } = adaptiveInterval(cost, { failures: 0, uptimeMs: 0 }, 1);
    expect(intervalMs).toBe(2 * HOUR);
    expect(reason).toContain('; raised from 3054 s, one checkpoint takes 7200 s');
  });

  test('before anything was measured is short', () => {
    const { intervalMs, reason } = adaptiveInterval(null, { failures: 0, uptimeMs: 0 }, 1);
    expect(intervalMs).toBe(5 * MINUTE);
    expect(reason).toMatch(/^interval 300 s: no cost is known yet, MTBF 720 h from 0 failures in 0 h/);
  });

  test('the cost is the mean of the last five', () => {
    const costs = [900, 10, 20, 30, 40, 50].reduce<ReturnType<typeof withCost>>(
      (known, heldMs) => withCost(known, { heldMs, durationMs: heldMs * 10 }),
      [],
    );
    expect(meanCost(costs)).toEqual({ heldMs: 30, durationMs: 300 });
    expect(meanCost([])).toBeNull();
  });
});

describe('cron', () => {
  const utc = (text: string) => Date.parse(`${text}Z`);
  const series = (cron: string, timeZone: string, from: string, count: number) => {
    const times: string[] = [];
    for (let ms = utc(from); times.length < count; ) {
      ms = nextTime({ cron, timeZone }, ms) ?? Infinity;
      times.push(new Date(ms).toISOString().slice(0, 16));
    }
    return times;
  };

  test('at the same time of day on both sides of a change of the clock', () => {
    expect(series('0 4 * * *', 'Europe/Berlin', '2026-03-28T00:00', 3)).toEqual([
      '2026-03-28T03:00',
      '2026-03-29T02:00',
      '2026-03-30T02:00',
    ]);
  });

  test('an hour that does not exist: every day has its tick', () => {
    const times = series('30 2 * * *', 'Europe/Berlin', '2026-03-28T00:00', 3);
    expect(times[0]).toBe('2026-03-28T01:30');
    expect(times[1]?.slice(0, 10)).toBe('2026-03-29');
    expect(times[2]).toBe('2026-03-30T00:30');
  });

  test('an hour that comes twice: one tick a day', () => {
    const times = series('30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00', 2);
    expect(times.map((time) => time.slice(0, 10))).toEqual(['2026-10-25', '2026-10-26']);
    expect(times[1]).toBe('2026-10-26T01:30');
  });

  test('every hour means every hour that passes, whatever the clock is called', () => {
    for (const [from, zone] of [
      ['2026-03-28T22:00', 'Europe/Berlin'],
      ['2026-10-24T22:00', 'Europe/Berlin'],
      ['2026-11-01T03:00', 'America/New_York'],
      ['2026-03-08T03:00', 'America/New_York'],
    ] as const) {
      const times = series('0 * * * *', zone, from, 8).map((time) => utc(time));
      expect(times).toEqual(times.map((_, i) => utc(from) + (i + 1) * HOUR));
    }
  });

  test.each(['', 'nonsense', '* *', '0 0 30 2 *', '61 * * * *'])('refuses %j', (cron) => {
    expect(() => checkCalendar({ cron, timeZone: '' })).toThrow('is no pattern with a time to come');
  });

  test('refuses a zone that does not exist, and takes macros', () => {
    expect(() => checkCalendar({ cron: '0 0 * * *', timeZone: 'Mars/Base' })).toThrow(
      'time_zone "Mars/Base"',
    );
    expect(() => checkCalendar({ cron: '@hourly', timeZone: 'Europe/Berlin' })).not.toThrow();
  });
});

const START = 1_800_000_000_000;
const plan = (spec: Partial<PlanInput['spec']>, more: Partial<PlanInput> = {}): PlanInput => ({
  spec: { intervalMs: 0, cron: '', timeZone: '', adaptive: false, ...spec },
  ...{ deadlineMs: 0, nodeCount: 1, cost: null, observed: { failures: 0, uptimeMs: 0 } },
  ...{ sinceMs: START, last: null, lastCheckpointMs: 0 },
  ...more,
});

/** All ticks up to a time; each is taken some time after it is due. */
function ticks(input: PlanInput, untilMs: number, lateMs = 0): { dueMs: number; kind: string }[] {
  const taken: { dueMs: number; kind: string }[] = [];
  let last = input.last;
  for (let nowMs = input.sinceMs; ; ) {
    const tick = nextTick({ ...input, last }, nowMs);
    if (tick === null || tick.dueMs > untilMs) return taken;
    expect(tick.dueMs).toBeGreaterThan(last?.dueMs ?? 0);
    taken.push({ dueMs: tick.dueMs - START, kind: tick.kind });
    last = tick;
    nowMs = tick.dueMs + lateMs;
  }
}

describe('the next tick', () => {
  test('of a fixed interval stays on its grid, however late each is taken', () => {
    const input = plan({ intervalMs: MINUTE });
    expect(ticks(input, START + 3 * MINUTE, 7 * SECOND)).toEqual([
      { dueMs: MINUTE, kind: 'every' },
      { dueMs: 2 * MINUTE, kind: 'every' },
      { dueMs: 3 * MINUTE, kind: 'every' },
    ]);
  });

  test('after an absence: the one that was due makes up for all, the next lies ahead', () => {
    const input = plan({ intervalMs: MINUTE }, { last: { dueMs: START + MINUTE, kind: 'every' } });
    const nowMs = START + 5.5 * MINUTE;
    expect(nextTick(input, nowMs)?.dueMs).toBe(START + 6 * MINUTE);
    expect(missedBetween(input, START + MINUTE, nowMs)).toBe(4);
    const daily = plan({ cron: '0 0 * * *' });
    expect(missedBetween(daily, START, START + 3 * DAY)).toBe(3);
  });

  test('of a calendar is the first time after the last one and after now', () => {
    const input = plan({ cron: '0 * * * *', timeZone: 'UTC' });
    const tick = nextTick(input, START + 5.2 * HOUR);
    expect(tick).toMatchObject({ kind: 'cron', reason: 'cron 0 * * * * in UTC', windowMs: 5 * MINUTE });
    expect((tick?.dueMs ?? 0) % HOUR).toBe(0);
    expect(tick?.dueMs).toBeGreaterThan(START + 5.2 * HOUR);
  });

  test('of an adaptive one counts from the newest checkpoint, whoever asked for it', () => {
    const cost = { heldMs: 2 * SECOND, durationMs: 10 * SECOND };
    const input = plan({ adaptive: true }, { cost, lastCheckpointMs: START + HOUR });
    const { intervalMs } = adaptiveInterval(cost, input.observed, 1);
    expect(nextTick(input, START + HOUR)?.dueMs).toBe(START + HOUR + 2 * SECOND + intervalMs);
    // The interval has passed already: at once.
    expect(nextTick(input, START + DAY)?.dueMs).toBe(START + DAY);
  });

  test('the last one leaves room for its cost and a margin, and is the last', () => {
    const cost = { heldMs: SECOND, durationMs: 40 * SECOND };
    const input = plan({ intervalMs: HOUR }, { cost, deadlineMs: START + 3 * HOUR });
    const last = { dueMs: 3 * HOUR - MINUTE, kind: 'deadline' };
    expect(ticks(input, START + 3 * HOUR)).toEqual([
      { dueMs: HOUR, kind: 'every' },
      { dueMs: 2 * HOUR, kind: 'every' },
      last,
    ]);
    const tick = nextTick({ ...input, last: { dueMs: START + 2 * HOUR, kind: 'every' } }, START + 2 * HOUR);
    expect(tick?.reason).toBe(
      'the last one before the deadline 2027-01-15T11:00:00Z: one takes 40 s, margin 20 s',
    );
    // Whoever outlives the deadline is checkpointed on.
    expect(ticks(input, START + 5 * HOUR).slice(3)).toEqual([
      { dueMs: 4 * HOUR, kind: 'every' },
      { dueMs: 5 * HOUR, kind: 'every' },
    ]);
  });

  test('before a deadline without a measured cost is a guess that a short run can afford', () => {
    expect(ticks(plan({}, { deadlineMs: START + 4 * MINUTE }), START + DAY)).toEqual([
      { dueMs: 2.5 * MINUTE, kind: 'deadline' },
    ]);
    expect(ticks(plan({}, { deadlineMs: START + 10 * HOUR }), START + DAY)).toEqual([
      { dueMs: 10 * HOUR - 7.5 * MINUTE, kind: 'deadline' },
    ]);
  });

  test('before a deadline that is too close is at once', () => {
    const cost = { heldMs: SECOND, durationMs: HOUR };
    const input = plan({}, { cost, deadlineMs: START + 30 * MINUTE });
    expect(nextTick(input, START + MINUTE)?.dueMs).toBe(START + MINUTE);
  });

  test('is none without a schedule', () => {
    expect(nextTick(plan({}), START)).toBeNull();
    expect(isScheduled(plan({}).spec, 0)).toBe(false);
    expect(isScheduled(plan({}).spec, 1)).toBe(true);
  });
});

describe('staggering', () => {
  test('what is due together begins one after the other, within the window', () => {
    const planned: { startMs: number; durationMs: number }[] = [];
    for (let i = 0; i < 4; i++)
      planned.push({ startMs: stagger(1000, 250, planned).startMs, durationMs: 100 });
    expect(planned.map(({ startMs }) => startMs)).toEqual([1000, 1100, 1200, 1000]);
  });

  test('says how many were avoided, and does not move without need', () => {
    const others = [
      { startMs: 900, durationMs: 150 },
      { startMs: 1000, durationMs: 80 },
      { startMs: 5000, durationMs: 80 },
    ];
    expect(stagger(1000, 100, others)).toEqual({ startMs: 1080, avoided: 2 });
    expect(stagger(3000, 100, others)).toEqual({ startMs: 3000, avoided: 0 });
    expect(stagger(1000, 0, others)).toEqual({ startMs: 1000, avoided: 0 });
  });

  test('a window is a tenth of the interval, five minutes at most', () => {
    expect(staggerWindowMs(MINUTE)).toBe(6 * SECOND);
    expect(staggerWindowMs(DAY)).toBe(5 * MINUTE);
  });
});
