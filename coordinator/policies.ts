/** What a site may change while the coordinator runs. Who decides by it asks for it at that moment. */
import type { CoordinatorOptions } from './options';

export type Policies = Pick<
  CoordinatorOptions,
  | 'restartWaitMs'
  | 'maxCheckpoints'
  | 'retention'
  | 'gcGraceMs'
  | 'userQuotaBytes'
  | 'accountQuotas'
  | 'operators'
  | 'admins'
  | 'unprivilegedAllowed'
  | 'userRate'
  | 'userOperations'
>;

export function policiesOf({
  restartWaitMs,
  maxCheckpoints,
  retention,
  gcGraceMs,
  userQuotaBytes,
  accountQuotas,
  operators,
  admins,
  unprivilegedAllowed,
  userRate,
  userOperations,
}: CoordinatorOptions): Policies {
  return {
    ...{ restartWaitMs, maxCheckpoints, retention, gcGraceMs, userQuotaBytes, accountQuotas },
    ...{ operators, admins, unprivilegedAllowed, userRate, userOperations },
  };
}
