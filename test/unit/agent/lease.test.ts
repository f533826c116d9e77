/** Invariant F2: a lease runs from when its heartbeat was sent, and ends once. */
import { Lease } from '../../../agent/lease';

let nowMs = 0;
let ends = 0;
let lease: Lease;

/** Time passes for timers and clock alike. */
function pass(ms: number): void {
  nowMs += ms;
  jest.advanceTimersByTime(ms);
}

beforeEach(() => {
  jest.useFakeTimers();
  nowMs = 0;
  ends = 0;
  lease = new Lease(
    () => {
      ends += 1;
    },
    { nowMs: () => nowMs },
  );
});
afterEach(() => {
  lease.close();
  jest.useRealTimers();
});

test('it ends once, and again after it was renewed', () => {
  lease.renew(0, 1000);
  pass(990);
  expect({ ends, leftMs: lease.remainingMs() }).toEqual({ ends: 0, leftMs: 10 });
  pass(500);
  expect(ends).toBe(1);
  expect(() => lease.requireMs()).toThrow(/no lease/);
  pass(5000);
  expect(ends).toBe(1);
  lease.renew(nowMs, 1000);
  pass(1500);
  expect(ends).toBe(2);
});

test('a process that stood still reads what has arrived before it gives up', () => {
  lease.renew(0, 1000);
  nowMs += 5000;
  jest.advanceTimersByTime(1000);
  expect(lease.remainingMs()).toBe(0);
  expect(ends).toBe(0);
  lease.renew(4500, 1000);
  pass(100);
  expect(ends).toBe(0);
  pass(1000);
  expect(ends).toBe(1);
});

test('nothing ends after close', () => {
  lease.renew(0, 1000);
  pass(1000);
  lease.close();
  pass(1000);
  expect(ends).toBe(0);
});
