/** The real clock's timers, of any length. */
import { systemClock } from '../../../coordinator/clock';

const DAY_MS = 86_400_000;

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

test.each([1, 24, 25, 100])('%d days last as long', (days) => {
  const [once, often] = [jest.fn(), jest.fn()];
  systemClock.after(days * DAY_MS, once);
  const stop = systemClock.every(days * DAY_MS, often);
  jest.advanceTimersByTime(days * DAY_MS - 1);
  expect([once, often].map(({ mock }) => mock.calls.length)).toEqual([0, 0]);
  jest.advanceTimersByTime(1);
  expect([once, often].map(({ mock }) => mock.calls.length)).toEqual([1, 1]);
  jest.advanceTimersByTime(days * DAY_MS);
  expect([once, often].map(({ mock }) => mock.calls.length)).toEqual([1, 2]);
  stop();
  jest.advanceTimersByTime(2 * days * DAY_MS);
  expect(often).toHaveBeenCalledTimes(2);
});

test('a long one can be taken back at any time', () => {
  const run = jest.fn();
  const cancel = systemClock.after(60 * DAY_MS, run);
  jest.advanceTimersByTime(55 * DAY_MS);
  cancel();
  jest.advanceTimersByTime(55 * DAY_MS);
  expect(run).not.toHaveBeenCalled();
});
