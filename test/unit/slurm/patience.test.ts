/** What is tried again, and how often. */
import { patiently } from '../../../cli/slurm/patience';
import { type ErrorCode, HoldfastError } from '../../../core/errors';

const failing = (codes: readonly ErrorCode[]) => {
  const told: string[] = [];
  let tries = 0;
  const step = async (isAgain: boolean) => {
    expect(isAgain).toBe(tries > 0);
    const code = codes[tries++];
    if (code !== undefined) throw new HoldfastError(code, `failure ${tries}`);
    return tries;
  };
  return { told, done: patiently(step, (text) => told.push(text), 1) };
};

test('a failure that passes, and that of a checkpoint: an older one is taken next', async () => {
  const { told, done } = failing(['NODE_UNAVAILABLE', 'CORRUPT', 'COORDINATOR_UNAVAILABLE']);
  expect(await done).toBe(4);
  expect(told).toEqual([1, 2, 3].map((number) => `failure ${number}; trying again`));
});

test('not what stays as it is', async () => {
  await expect(failing(['PERMISSION_DENIED']).done).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
});

test('not for ever: each of many checkpoints may fail', async () => {
  const { told, done } = failing(Array<ErrorCode>(9).fill('CRIU_FAILED'));
  await expect(done).rejects.toMatchObject({ code: 'CRIU_FAILED' });
  expect(told).toHaveLength(4);
});
