import { UploadLimit } from '../../../agent/memory/uploadLimit';

test('packs are sent as fast as the limit allows on average, whatever their size', () => {
  let nowMs = 1_000;
  const limit = new UploadLimit(10_000, () => nowMs);
  expect(limit.take(20_000)).toBe(0);
  expect(limit.take(5_000)).toBe(2_000);
  nowMs += 2_000;
  expect(limit.take(1)).toBe(500);
});

test('time in which nothing was sent is not saved up', () => {
  let nowMs = 0;
  const limit = new UploadLimit(10_000, () => nowMs);
  limit.take(10_000);
  nowMs = 60_000;
  expect(limit.take(10_000)).toBe(0);
  expect(limit.take(10_000)).toBe(1_000);
});

test('without a limit nothing waits', () => {
  const limit = new UploadLimit(undefined, () => 0);
  expect([limit.take(2 ** 40), limit.take(2 ** 40)]).toEqual([0, 0]);
});
