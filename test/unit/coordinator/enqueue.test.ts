/** When an operation that is on record gets into its queue. */
import type { Context } from '../../../coordinator/context';
import { newRecord, queueRecord } from '../../../coordinator/operations/enqueue';
import { Job } from '../../../proto/gen/holdfast/v1/coordinator';
import { ManualClock } from './support/manualClock';

test('a back-off lasts no longer than the longest there is, also when the clock was set back meanwhile', async () => {
  const clock = new ManualClock();
  clock.advance(3_600_000);
  const job = Job.fromPartial({ id: 'j-1' });
  const delays: number[] = [];
  const context = {
    clock,
    gathering: { remainingMs: () => 0 },
    jobs: { get: () => job },
    queues: { add: async (_: unknown, delayMs: number) => delays.push(delayMs) },
  } as unknown as Context;
  const record = newRecord(
    job,
    {
      ...{ kind: 'restart', ckptId: null, nodes: [], outputPath: '', lazy: false, automatic: true },
      ...{ drains: false, notBeforeMs: clock.wallMs() + 20_000, deadlineMs: null },
    },
    clock.wallMs(),
  );
  await queueRecord(context, record);
  clock.setBack(3_600_000);
  await queueRecord(context, record);
  expect(delays).toEqual([20_000, 600_000]);
});
