/** One tick of a job's schedule: a checkpoint, or the reason why not. */
import { JobState } from '../../proto/gen/holdfast/v1/coordinator';
import { LiveMode } from '../../proto/gen/holdfast/v1/manifest';
import type { Context } from '../context';
import { newRecord } from '../operations/enqueue';
import { runOperation } from '../operations/run';

export function whySkipped(
  { jobs, operations, gathering }: Pick<Context, 'jobs' | 'operations' | 'gathering'>,
  id: string,
): string | null {
  const job = jobs.find(id);
  if (job === undefined) return 'the job is not known any more';
  if (job.state !== JobState.RUNNING) return `the job is ${job.state}`;
  if (gathering.remainingMs(job) > 0) return 'its nodes may not all have registered yet';
  const [open] = operations.openOf(id);
  if (open !== undefined) return `operation ${open.operation.id} is at ${open.operation.phase}`;
  return null;
}

/** A failed one waits for the next tick: its record says why. */
export async function tick(
  context: Context,
  id: string,
): Promise<{ skipped: string } | { operation: string }> {
  const skipped = whySkipped(context, id);
  if (skipped !== null) return { skipped };
  const job = context.jobs.get(id);
  const live = job.spec?.live ?? LiveMode.UNSPECIFIED;
  const request = { kind: 'checkpoint', stop: false, periodic: true, live } as const;
  const record = newRecord(job, request, context.clock.wallMs());
  await context.operations.put(record);
  await runOperation(context, record.operation.id);
  return { operation: record.operation.id };
}
