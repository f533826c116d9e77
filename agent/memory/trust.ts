/**
 * Which processes the kernel's page tables do not tell everything about: a device, or the kernel for a request that has begun, writes
 * into pages that it found before, and no page table shows when. Pure.
 */
import { type Descriptor, isDirect } from '../proc/descriptors';

const BEHIND_PAGE_TABLES =
  /^(anon_inode:\[(io_uring|infiniband|uverbs)|\/dev\/(infiniband|vfio|nvidia|kfd|dri|xpmem|knem)\b)/;
/** The ring of an AIO context. */
const AIO_RING = '/[aio]';

/** @param mapped names of the process's memory maps */
export function canBeTracked(
  descriptors: readonly Pick<Descriptor, 'target' | 'flags'>[],
  mapped: readonly string[],
): boolean {
  const isBehind = ({ target, flags }: Pick<Descriptor, 'target' | 'flags'>): boolean =>
    BEHIND_PAGE_TABLES.test(target) || (isDirect(flags) && !target.startsWith('pipe:'));
  return !descriptors.some(isBehind) && !mapped.some((name) => name.startsWith(AIO_RING));
}
