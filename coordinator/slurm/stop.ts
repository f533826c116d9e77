/** Stops a job at a checkpoint for a cause of Slurm's: whoever else has noticed it as well asks for the same one. */
import { toHoldfastError } from '../../core/errors';
import type { Job } from '../../proto/gen/holdfast/v1/coordinator';
import { LiveMode } from '../../proto/gen/holdfast/v1/manifest';
import type { Context } from '../context';
import { enqueueOperation } from '../operations/enqueue';

/** The operation that stops a job for this cause already. */
export const stopUnderWay = ({ operations }: Context, job: string, cause: string): string | undefined =>
  operations
    .openOf(job)
    .find(({ request }) => request.kind === 'checkpoint' && request.stop && request.cause === cause)
    ?.operation.id;

/** A pre-emption: there is no later time to try. */
export async function stopAtCheckpoint(context: Context, job: Job, reason: string): Promise<void> {
  const cause = 'preempt';
  if (stopUnderWay(context, job.id, cause) !== undefined) return;
  const live = job.spec?.live ?? LiveMode.UNSPECIFIED;
  const request = { kind: 'checkpoint', stop: true, cause, periodic: false, live, drains: '' } as const;
  const { decisions } = context;
  try {
    const id = await enqueueOperation(context, job, { ...request, urgency: 'now' });
    decisions.note(job.id, 'checkpoint', `${reason}: it is stopped at a checkpoint (${id})`);
  } catch (thrown) {
    decisions.note(job.id, 'checkpoint', `${reason}, but there is none: ${toHoldfastError(thrown).message}`);
  }
}
