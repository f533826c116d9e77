/** What a sweep does with each object, and when. */
import { originOf } from '../../../../coordinator/retention/origin';
import { planSweep, type SweepInput } from '../../../../coordinator/retention/sweep';

const GRACE_MS = 1000;

const sweep = (input: Partial<SweepInput>) =>
  planSweep({
    objects: [],
    isNamed: () => false,
    attempts: [],
    marks: new Map(),
    causeOf: () => 'why',
    nowMs: 10_000,
    graceMs: GRACE_MS,
    ...input,
  });

const object = (key: string) => ({ key, sizeBytes: 5 });
const keys = (items: readonly { key: string }[]) => items.map(({ key }) => key);

test('garbage is condemned first, waits for the grace, and is deleted by a later sweep', () => {
  const objects = [object('a')];
  const first = sweep({ objects });
  expect(first).toMatchObject({
    condemn: [{ key: 'a', mark: { sinceMs: 10_000, cause: 'why' } }],
    remove: [],
  });
  const marks = new Map(first.condemn.map(({ key, mark }) => [key, mark]));
  expect(keys(sweep({ objects, marks, nowMs: 10_999 }).waiting)).toEqual(['a']);
  expect(keys(sweep({ objects, marks, nowMs: 11_000 }).remove)).toEqual(['a']);
});

test('even without a grace, no sweep deletes what it has condemned itself', () => {
  expect(sweep({ objects: [object('a')], graceMs: 0 }).remove).toEqual([]);
});

test('what a generation names, or is below an attempt on record, is not garbage', () => {
  const objects = [object('jobs/j/data/1-1/a'), object('jobs/j/data/2-2/b'), object('jobs/j/data/2-22/c')];
  const plan = sweep({ objects, isNamed: (key) => key.endsWith('a'), attempts: ['jobs/j/data/2-2/'] });
  expect(keys(plan.condemn)).toEqual(['jobs/j/data/2-22/c']);
});

test('marks of what is gone, or named after all, are dropped', () => {
  const marks = new Map(['gone', 'named', 'garbage'].map((key) => [key, { sinceMs: 0, cause: '' }]));
  const objects = [object('named'), object('garbage')];
  const plan = sweep({ objects, marks, isNamed: (key) => key === 'named' });
  expect(plan.staleMarks).toEqual(['gone', 'named']);
  expect(keys(plan.remove)).toEqual(['garbage']);
});

test('a clock that was set back deletes nothing early', () => {
  const marks = new Map([['a', { sinceMs: 20_000, cause: '' }]]);
  expect(keys(sweep({ objects: [object('a')], marks }).waiting)).toEqual(['a']);
});

test.each([
  ['jobs/j/data/2-5/n1/main/index', 'generation 2 wrote it, and none that stays names it'],
  [
    'jobs/j/data/2-4/n1/main/index',
    'half-written: an attempt at generation 2 that was not committed left it',
  ],
  [
    'jobs/j/data/4-9/n1/main/index',
    'half-written: an attempt at generation 4 that was not committed left it',
  ],
  [
    'jobs/j/data/1-3/n1/main/index',
    'generation 1, which was removed, wrote it, and none that stays names it',
  ],
  ['jobs/j/notes', 'nothing of Holdfast is written there'],
])('who wrote %s', (key, origin) => {
  expect(originOf(key, { epochs: new Map([[2, 5]]), newest: 3 })).toBe(origin);
});
