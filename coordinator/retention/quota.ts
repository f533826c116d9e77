/**
 * The quotas of each user's and each account's stored bytes. Over one new checkpoints are refused; nothing that a policy keeps is
 * removed for it.
 */
import { ANY_ACCOUNT } from '../../core/accounts';
import { HoldfastError } from '../../core/errors';
import { formatSizeExactly } from '../../core/retention';
import type { JobUsage } from '../../proto/gen/holdfast/v1/coordinator';
import type { Context } from '../context';
import type { Owner } from './survey';

const ROOT = 0;

/** 0: none. */
export function quotaOf({ policies }: Pick<Context, 'policies'>, uid: number): number {
  return uid === ROOT ? 0 : policies().userQuotaBytes;
}

/** 0: none. */
export function accountQuotaOf({ policies }: Pick<Context, 'policies'>, account: string): number {
  const quotas = policies().accountQuotas;
  // The last one of a name is meant.
  const own = quotas.findLast((quota) => quota.account === account);
  return (own ?? quotas.findLast((quota) => quota.account === ANY_ACCOUNT))?.bytes ?? 0;
}

/** Before anything is frozen or written. @throws HoldfastError LIMIT_EXCEEDED */
export async function requireRoom(
  context: Pick<Context, 'policies' | 'usage'>,
  { uid, account }: Owner,
): Promise<void> {
  const quotas = [
    { name: `uid ${uid}`, bytes: quotaOf(context, uid), isOwn: (job: JobUsage) => job.uid === uid },
    {
      name: `account ${account}`,
      bytes: account === '' ? 0 : accountQuotaOf(context, account),
      isOwn: (job: JobUsage) => job.account === account,
    },
  ].filter(({ bytes }) => bytes > 0);
  if (quotas.length === 0) return;
  const jobs = await context.usage.all();
  for (const { name, bytes, isOwn } of quotas) {
    const storedBytes = jobs.filter(isOwn).reduce((sum, job) => sum + job.storedBytes, 0);
    if (storedBytes < bytes) continue;
    throw new HoldfastError(
      'LIMIT_EXCEEDED',
      `${name} stores ${storedBytes} bytes of checkpoints, and its quota is ${formatSizeExactly(bytes)}`,
      'see `holdfast usage`; make room with `holdfast checkpoints remove` or a tighter policy (`holdfast retention set`)',
    );
  }
}
