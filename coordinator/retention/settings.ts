/** Which policy a job has: its own, or the site's. What was set later than the last commit is kept beside the pins (C4). */
import type { Job } from '../../proto/gen/holdfast/v1/coordinator';
import { RetentionPolicy } from '../../proto/gen/holdfast/v1/manifest';
import type { ObjectStore } from '../../store/contract';
import { readNote, writeNote } from '../catalog/notes';
import type { Context } from '../context';

export interface PolicyInForce {
  readonly policy: RetentionPolicy;
  readonly isDefault: boolean;
}

export function policyOf({ policies }: Pick<Context, 'policies'>, job: Job): PolicyInForce {
  const own = job.spec?.retention;
  return own === undefined
    ? { policy: policies().retention, isDefault: true }
    : { policy: own, isDefault: false };
}

const policyKey = (job: string): string => `retention/${job}.json`;

/** @param policy undefined: the site's */
export async function savePolicy(
  store: ObjectStore,
  job: string,
  policy: RetentionPolicy | undefined,
): Promise<void> {
  const saved = { policy: policy === undefined ? null : RetentionPolicy.toJSON(policy) };
  await writeNote(store, policyKey(job), saved);
}

/** null: none was ever set, that of the job's specification holds. */
export async function savedPolicy(
  store: ObjectStore,
  job: string,
): Promise<{ retention: RetentionPolicy | undefined } | null> {
  const note = (await readNote(store, policyKey(job))) as { policy: unknown } | null;
  if (note === null) return null;
  return { retention: note.policy === null ? undefined : RetentionPolicy.fromJSON(note.policy) };
}
