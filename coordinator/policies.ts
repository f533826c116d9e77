/** What a site may change while the coordinator runs. Who decides by it asks for it at that moment. */
import type { CoordinatorOptions } from './options';

export type Policies = Pick<
  CoordinatorOptions,
  'restartWaitMs' | 'retention' | 'gcGraceMs' | 'userQuotaBytes'
>;

export function policiesOf({
  restartWaitMs,
  retention,
  gcGraceMs,
  userQuotaBytes,
}: CoordinatorOptions): Policies {
  return { restartWaitMs, retention, gcGraceMs, userQuotaBytes };
}
