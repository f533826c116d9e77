/** Who may see and touch what (docs/architecture.md, "Security"). Pure. */
import { HoldfastError } from '../../core/errors';
import { type Identity, isRoot } from '../../core/rpc/identity';
import type { CheckpointSummary, Job } from '../../proto/gen/holdfast/v1/coordinator';

export function maySee(identity: Identity, owner: number): boolean {
  return isRoot(identity) || identity.uid === owner;
}

export function ownerOf(job: Job): number {
  return job.spec?.uid ?? 0;
}

/** @throws HoldfastError PERMISSION_DENIED */
export function requireOwnJob(identity: Identity, job: Job): Job {
  if (maySee(identity, ownerOf(job))) return job;
  throw denied(identity, `job ${job.id}`);
}

/** @throws HoldfastError PERMISSION_DENIED */
export function requireOwnCheckpoint(identity: Identity, summary: CheckpointSummary): CheckpointSummary {
  if (maySee(identity, summary.uid)) return summary;
  throw denied(identity, `checkpoint ${summary.ckptId}`);
}

/** @throws HoldfastError PERMISSION_DENIED */
export function requireRoot(identity: Identity, action: string): void {
  if (!isRoot(identity)) {
    throw new HoldfastError(
      'PERMISSION_DENIED',
      `only root may ${action}; the caller is uid ${identity.uid}`,
    );
  }
}

function denied(identity: Identity, object: string): HoldfastError {
  const message = `${object} belongs to another user; the caller is uid ${identity.uid}`;
  return new HoldfastError('PERMISSION_DENIED', message, 'ask its owner or root');
}
