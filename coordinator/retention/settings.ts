/** Which policy a job has: its own, or the site's. */
import type { Job } from '../../proto/gen/holdfast/v1/coordinator';
import type { RetentionPolicy } from '../../proto/gen/holdfast/v1/manifest';
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
