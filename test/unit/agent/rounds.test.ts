/** When pre-copy ends, and when the hold takes a snapshot. */
import {
  copyMs,
  type Experience,
  expectedBytes,
  type Round,
  residualBytes,
  roundsAreWorthIt,
  wantsAnotherRound,
  wantsSnapshot,
} from '../../../agent/memory/rounds';
import { LiveMode } from '../../../proto/gen/holdfast/v1/manifest';

const MIB = 2 ** 20;
const BUFFER = 96 * MIB;
const BUFFERS = { bytes: BUFFER, drainBytesPerMs: 0.25e6 };
const pages = (mib: number): number => (mib * MIB) / 4096;
const rounds = (...list: [mib: number, durationMs: number][]): Round[] =>
  list.map(([mib, durationMs]) => ({ stalePages: pages(mib), durationMs }));

test.each<[string, Round[], boolean]>([
  ['the first round is always made', [], true],
  ['nothing was written: nothing is left for another', rounds([0, 20]), false],
  ['little was written: the hold copies it in a moment', rounds([10, 100]), false],
  ['much was written before the first round: what comes in it is less', rounds([4096, 9000]), true],
  ['each round finds less', rounds([4096, 9000], [200, 500], [100, 250]), true],
  [
    'rounds that find as much as the one before gain nothing',
    rounds([4096, 9000], [400, 900], [380, 900]),
    false,
  ],
  ['a round that was short leaves little behind', rounds([4096, 9000], [200, 100]), false],
  [
    'there is an end in any case',
    rounds(...Array.from({ length: 8 }, (_, i): [number, number] => [4096 / 2 ** i, 9000])),
    false,
  ],
])('%s', (_, made, again) => {
  expect(wantsAnotherRound(made, BUFFERS)).toBe(again);
});

test('what is left at the hold is what is written during one round, at the rate of the last', () => {
  expect(residualBytes([])).toBe(0);
  expect(residualBytes(rounds([64, 100]))).toBe(64 * MIB);
  expect(residualBytes(rounds([4096, 1000], [100, 500]))).toBe(50 * MIB);
  // Never more than the round found.
  expect(residualBytes(rounds([4096, 100], [100, 500]))).toBe(100 * MIB);
});

test('copying beyond the buffers waits for the encoders', () => {
  const within = copyMs(BUFFER, BUFFERS);
  expect(copyMs(2 * BUFFER, BUFFERS)).toBeGreaterThan(3 * within);
  expect(copyMs(2 * BUFFER, { ...BUFFERS, drainBytesPerMs: 0.025e6 })).toBeGreaterThan(30 * within);
});

test.each<[string, LiveMode, Round[], boolean]>([
  ['never', LiveMode.NEVER, rounds([4096, 9000], [4096, 9000]), false],
  ['always', LiveMode.ALWAYS, rounds([0, 10]), true],
  ['auto, little is left', LiveMode.AUTO, rounds([4096, 9000], [10, 500]), false],
  ['auto, all of 4 GiB is left', LiveMode.AUTO, rounds([4096, 9000], [4096, 9000]), true],
  ['not said means auto', LiveMode.UNSPECIFIED, rounds([4096, 9000], [4096, 9000]), true],
])('a snapshot: %s', (_, mode, made, wanted) => {
  expect(wantsSnapshot(mode, residualBytes(made), 4096 * MIB, BUFFERS)).toBe(wanted);
});

const experience = (foundMib: number, heldMib: number, skipped = 0): Experience => ({
  ...{ foundPages: pages(foundMib), heldPages: pages(heldMib), presentBytes: 4096 * MIB, skipped },
});

test.each<[string, Experience | null, boolean]>([
  ['of a tree that nothing is known of', null, true],
  ['that left little to the hold', experience(460, 6), true],
  ['that found what the hold found again', experience(512, 512), false],
  ['that was made without rounds, and had as much to do', experience(512, 500, 3), false],
  ['that was made without rounds, when the job had become quiet', experience(512, 20, 3), true],
  ['that was made without rounds, and had much more to do', experience(512, 2048, 1), true],
  ['that was one of many without rounds', experience(512, 512, 8), true],
  ['that had little to do anyway', experience(4, 4), true],
])('rounds after a checkpoint %s: %#', (_, last, worth) => {
  expect(roundsAreWorthIt(last)).toBe(worth);
});

test('without rounds the hold is expected to have what the last one had', () => {
  expect(expectedBytes([], experience(512, 500))).toBe(500 * MIB);
  expect(expectedBytes([], null)).toBe(0);
  expect(expectedBytes(rounds([64, 100]), experience(512, 500))).toBe(64 * MIB);
});
