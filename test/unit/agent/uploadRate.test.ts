import { UploadRate } from '../../../agent/memory/uploadRate';

function rateAt() {
  const clock = { ms: 1000 };
  return { clock, rate: new UploadRate(() => clock.ms) };
}

test('nothing stored yet: not known', () => {
  expect(rateAt().rate.bytesPerS).toBe(0);
});

test('only the time in which something is on its way counts, once', () => {
  const { clock, rate } = rateAt();
  rate.begin();
  rate.begin();
  clock.ms += 100;
  rate.end(10e6);
  rate.end(10e6);
  clock.ms += 60_000;
  expect(rate.bytesPerS).toBeCloseTo(200e6, -6);
});

test('a store that became slow is believed soon', () => {
  const { clock, rate } = rateAt();
  for (const [bytes, count] of [
    [100e6, 200],
    [1e6, 200],
  ] as const) {
    for (let i = 0; i < count; i++) {
      rate.begin();
      clock.ms += 100;
      rate.end(bytes);
    }
  }
  expect(rate.bytesPerS).toBeLessThan(110e6);
  expect(rate.bytesPerS).toBeGreaterThan(9e6);
});

test('an upload that failed is time without bytes', () => {
  const { clock, rate } = rateAt();
  rate.begin();
  clock.ms += 100;
  rate.end(10e6);
  const before = rate.bytesPerS;
  rate.begin();
  clock.ms += 100;
  rate.end(0);
  expect(rate.bytesPerS).toBeLessThan(before);
});
