/** What a checkpoint's end means for the catalog and for the job. */
import { decodeManifest, manifestKey } from '../../core/manifest';
import type { Job } from '../../proto/gen/holdfast/v1/coordinator';
import { JobState } from '../../proto/gen/holdfast/v1/coordinator';
import type { Context } from '../context';
import { killTrees } from '../jobs/kill';
import { isEnded } from '../state/jobs';
import type { OperationRecord } from '../state/operations';
import { storedBytes, summarize } from './assemble';
import type { Gathered } from './gathered';

/** The record as it is to be stored; the catalog and the job are changed before it says so. */
export async function concludeCheckpoint(
  context: Context,
  record: OperationRecord,
  gathered: Gathered,
  durationMs: number,
): Promise<OperationRecord> {
  const { operation } = record;
  const ended = { ...operation, endedMs: context.clock.wallMs() };
  if (operation.phase === 'DONE') {
    const key = manifestKey(operation.job, operation.generation);
    // That of a large job takes so long to read that others would wait for it.
    const manifest = gathered.manifest ?? decodeManifest(Buffer.from(record.manifest ?? ''), key);
    const uploadedBytes = gathered.uploadedBytes || storedBytes(manifest);
    const { heldMs } = gathered;
    const summary = summarize(manifest, { uploadedBytes, heldMs, durationMs: Math.round(durationMs) });
    await context.catalog.add(summary);
    await context.jobs.update(operation.job, (job) => afterCommit(job, record, context.clock.wallMs()));
    return { ...record, operation: { ...ended, summary } };
  }
  // Somebody else's manifest has our number: learn of it, or the next attempt would meet it again.
  if (record.manifest !== null) await context.catalog.refreshJob(operation.job);
  if (isBroken(record, context.jobs.get(operation.job))) await endBroken(context, record);
  return { ...record, operation: ended };
}

function isStop({ request }: OperationRecord): boolean {
  return request.kind === 'checkpoint' && request.stop;
}

function afterCommit(job: Job, record: OperationRecord, nowMs: number): Partial<Job> {
  const lastGeneration = Math.max(job.lastGeneration, record.operation.generation);
  // Its memory was whole (R3): whatever it was restarted from is not read any more.
  const committed = { lastGeneration, restoredGeneration: 0, restartsSinceCommit: 0 };
  if (!isStop(record) || isEnded(job)) return committed;
  const stopCause = record.request.kind === 'checkpoint' ? record.request.cause : '';
  const reason = `stopped at checkpoint ${record.operation.ckptId}${stopCause && ` (${stopCause})`}`;
  return { ...committed, state: JobState.STOPPED, reason, stopCause, trees: [], endedMs: nowMs };
}

/** A stop whose Release may have killed trees, and that was not committed: what is left of the job cannot go on. */
function isBroken(record: OperationRecord, job: Job): boolean {
  return isStop(record) && !isEnded(job) && record.hasReleased;
}

async function endBroken(context: Context, { operation }: OperationRecord): Promise<void> {
  const job = context.jobs.get(operation.job);
  const { generation, error } = operation;
  const cause = `its processes were ended for a checkpoint with stop, but generation ${generation} was not stored`;
  const isRestartable = job.lastGeneration > 0;
  const rest = isRestartable
    ? `what it did since generation ${job.lastGeneration} is lost`
    : 'there is no older generation: its work is lost';
  await context.jobs.update(job.id, () => ({
    state: isRestartable ? JobState.STOPPED : JobState.FAILED,
    reason: `${cause} (${error?.message ?? 'the cause is not known'}); ${rest}`,
    endedMs: context.clock.wallMs(),
  }));
  await killTrees(context, job.id, 9);
}
