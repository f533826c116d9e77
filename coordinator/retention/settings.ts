/** Which policy a job has: its own, or the site's. What was set later than the last commit is kept beside the pins (C4). */
import { toHoldfastError } from '../../core/errors';
import type { Job } from '../../proto/gen/holdfast/v1/coordinator';
import { RetentionPolicy } from '../../proto/gen/holdfast/v1/manifest';
import type { ObjectStore } from '../../store/contract';
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
  await store.put(policyKey(job), Buffer.from(`${JSON.stringify(saved)}\n`));
}

/** null: none was ever set, that of the job's specification holds. */
export async function savedPolicy(
  store: ObjectStore,
  job: string,
): Promise<{ retention: RetentionPolicy | undefined } | null> {
  try {
    const { policy } = JSON.parse((await store.get(policyKey(job))).toString('utf8'));
    return { retention: policy === null ? undefined : RetentionPolicy.fromJSON(policy) };
  } catch (thrown) {
    if (toHoldfastError(thrown).code === 'OBJECT_MISSING') return null;
    throw thrown;
  }
}
