import { closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { canBeTracked } from '../../../agent/memory/trust';
import { descriptors } from '../../../agent/proc/descriptors';

const plain = { target: '/home/u/data', flags: 0o2 };

test('ordinary files, pipes in packet mode and epoll leave the page tables true', () => {
  const pipe = { target: 'pipe:[7]', flags: 0o40001 };
  expect(
    canBeTracked([plain, pipe, { target: 'anon_inode:[eventpoll]', flags: 2 }], ['/lib/libc.so.6', '[heap]']),
  ).toBe(true);
});

test.each([
  ['a file open for direct reads', [{ target: '/scratch/in', flags: 0o40000 }], []],
  ['io_uring', [{ target: 'anon_inode:[io_uring]', flags: 2 }], []],
  ['InfiniBand verbs', [{ target: '/dev/infiniband/uverbs0', flags: 2 }], []],
  ['an AIO context', [plain], ['/[aio]']],
] as const)('%s: what is written there no page table tells', (_, open, maps) => {
  expect(canBeTracked(open, maps)).toBe(false);
});

test('the flag of a real descriptor', () => {
  const directory = mkdtempSync(join(__dirname, 'direct-'));
  const fd = openSync(join(directory, 'file'), constants.O_CREAT | constants.O_RDWR | constants.O_DIRECT);
  const own = descriptors(process.pid).filter((one) => one.fd === fd);
  closeSync(fd);
  rmSync(directory, { recursive: true });
  expect(own).toHaveLength(1);
  expect(canBeTracked(own, [])).toBe(false);
});
