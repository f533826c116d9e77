/** The quota of each user's stored bytes. Over it new checkpoints are refused; nothing that a policy keeps is removed for it. */
import { HoldfastError } from '../../core/errors';
import { formatSizeExactly } from '../../core/retention';
import type { Context } from '../context';
import { sumByUser } from './usage';

const ROOT = 0;

/** 0: none. */
export function quotaOf({ policies }: Pick<Context, 'policies'>, uid: number): number {
  return uid === ROOT ? 0 : policies().userQuotaBytes;
}

/** Before anything is frozen or written. @throws HoldfastError LIMIT_EXCEEDED */
export async function requireRoom(context: Pick<Context, 'policies' | 'usage'>, uid: number): Promise<void> {
  const quotaBytes = quotaOf(context, uid);
  if (quotaBytes === 0) return;
  const [sum] = sumByUser(
    (await context.usage.all()).filter((job) => job.uid === uid),
    () => quotaBytes,
  );
  if (sum === undefined || sum.storedBytes < quotaBytes) return;
  throw new HoldfastError(
    'LIMIT_EXCEEDED',
    `uid ${uid} stores ${sum.storedBytes} bytes of checkpoints, and its quota is ${formatSizeExactly(quotaBytes)}`,
    'see `holdfast usage`; make room with `holdfast checkpoints remove` or a tighter policy (`holdfast retention set`)',
  );
}
