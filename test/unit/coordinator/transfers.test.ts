/** Limits of exports and imports: how many at once, and how long one may stand still. */
import { followed, stepWithin } from '../../../coordinator/transfer/source';
import { Transfers } from '../../../coordinator/transfer/transfers';
import { ManualClock } from './support/manualClock';

const never = new Promise<never>(() => {});

test('two of one user, eight in all; each makes room when it ends', () => {
  const transfers = new Transfers();
  const [end] = [transfers.begin(1000), transfers.begin(1000)];
  expect(() => transfers.begin(1000)).toThrow('2 exports and imports of uid 1000 are at work');
  end?.();
  transfers.begin(1000);
  for (let count = 2; count < 8; count++) transfers.begin(0);
  expect(() => transfers.begin(0)).toThrow('8 exports and imports are at work');
});

test('a job id is given to one import at a time', () => {
  const transfers = new Transfers();
  expect([transfers.reserve('a'), transfers.reserve('a'), transfers.reserve('b')]).toEqual([
    true,
    false,
    true,
  ]);
  transfers.release('a');
  expect(transfers.reserve('a')).toBe(true);
});

test('what stands still for too long is given up; what moves is not', async () => {
  const clock = new ManualClock();
  const limits = { clock, signal: new AbortController().signal, stallMs: 1000 };
  let come: (value: number) => void = () => {};
  async function* source() {
    for (;;) {
      yield await new Promise<number>((resolve) => {
        come = resolve;
      });
    }
  }
  const items = followed(source(), limits);
  for (let number = 0; number < 3; number++) {
    const next = items.next();
    // The timer is set when the generator runs.
    await Promise.resolve();
    clock.advance(900);
    come(number);
    expect(await next).toEqual({ done: false, value: number });
    expect(clock.timers).toBe(0);
  }
  const stuck = items.next();
  await Promise.resolve();
  clock.advance(1000);
  await expect(stuck).rejects.toMatchObject({ code: 'TIMEOUT', message: 'nothing moved for 1 s' });
});

test('an abort ends the waiting with its reason, before and meanwhile', async () => {
  const clock = new ManualClock();
  const aborting = new AbortController();
  const limits = { clock, signal: aborting.signal, stallMs: 1000 };
  const waiting = stepWithin(never, limits);
  aborting.abort(new Error('enough'));
  await expect(waiting).rejects.toThrow('enough');
  await expect(stepWithin(never, limits)).rejects.toThrow('enough');
  await expect(stepWithin(Promise.reject(new Error('late')), limits)).rejects.toThrow('enough');
  expect(clock.timers).toBe(0);
});
