import { MemoryBudget, SMALLEST_SHARE_BYTES } from '../../../agent/memory/budget';

const never = new AbortController().signal;

test('shares never exceed the budget, and a capture waits for the next one', async () => {
  const total = 4 * SMALLEST_SHARE_BYTES;
  const budget = new MemoryBudget(total);
  const first = await budget.take(never);
  const second = await budget.take(never);
  expect(first.bytes).toBe(3 * SMALLEST_SHARE_BYTES);
  expect(first.bytes + second.bytes).toBeLessThanOrEqual(total);
  let third = false;
  const waiting = budget.take(never).then((share) => {
    third = true;
    return share;
  });
  await Promise.resolve();
  expect(third).toBe(false);
  second.release();
  second.release();
  expect((await waiting).bytes).toBe(SMALLEST_SHARE_BYTES);
});

test('what is given back can be taken whole again', async () => {
  const budget = new MemoryBudget(4 * SMALLEST_SHARE_BYTES);
  for (let round = 0; round < 3; round++) {
    const share = await budget.take(never);
    expect(share.bytes).toBe(3 * SMALLEST_SHARE_BYTES);
    share.release();
  }
});

test('a capture that is aborted waits for memory no longer, and holds none', async () => {
  const budget = new MemoryBudget(SMALLEST_SHARE_BYTES);
  const first = await budget.take(never);
  const abort = new AbortController();
  const waiting = budget.take(abort.signal);
  abort.abort(new Error('aborted'));
  await expect(waiting).rejects.toThrow('aborted');
  await expect(budget.take(abort.signal)).rejects.toThrow('aborted');
  first.release();
  expect((await budget.take(never)).bytes).toBe(SMALLEST_SHARE_BYTES);
});
