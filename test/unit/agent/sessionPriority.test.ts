/** The agent's session gives way, except while a job waits for it. */
import { SessionPriority } from '../../../agent/sessionPriority';

test('the session is nice but while something urgent is under way, however much of it at once', async () => {
  const written: number[] = [];
  const priority = new SessionPriority(10, (nice) => written.push(nice));
  expect(written).toEqual([10]);
  let finish: () => void = () => {};
  const first = priority.urgent(
    () =>
      new Promise<void>((resolve) => {
        finish = resolve;
      }),
  );
  await expect(priority.urgent(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(written).toEqual([10, 0]);
  finish();
  await first;
  expect(written).toEqual([10, 0, 10]);
  expect(await priority.urgent(async () => 7)).toBe(7);
  expect(written).toEqual([10, 0, 10, 0, 10]);
});
