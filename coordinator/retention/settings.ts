/** What the site decides: the default policy, quotas, and how garbage goes. */
import type { Job } from '../../proto/gen/holdfast/v1/coordinator';
import type { RetentionPolicy } from '../../proto/gen/holdfast/v1/manifest';

export interface RetentionSettings {
  /** Of jobs that have none of their own. */
  readonly policy: RetentionPolicy;
  /** Between condemning and deleting (G3). */
  readonly graceMs: number;
  /** Between two sweeps of everything. */
  readonly intervalMs: number;
  /** Stored bytes of one user; 0: no limit. */
  readonly quotaBytes: number;
}

export interface PolicyInForce {
  readonly policy: RetentionPolicy;
  readonly isDefault: boolean;
}

export function policyOf({ policy }: RetentionSettings, job: Job): PolicyInForce {
  const own = job.spec?.retention;
  return own === undefined ? { policy, isDefault: true } : { policy: own, isDefault: false };
}
