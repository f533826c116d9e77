import { parseIdentity } from '../../../agent/proc/stat';

const status = (groups: string): string =>
  [
    'Name:\tjob with: colons',
    'Tgid:\t4711',
    'TracerPid:\t0',
    'Uid:\t1000\t0\t1000\t1000',
    'Gid:\t100\t100\t100\t100',
    `Groups:${groups}`,
    'NStgid:\t4711\t7',
    'NSpid:\t4711\t7',
    'Threads:\t3',
    '',
  ].join('\n');

test('a status file names user, groups, threads and the pids of every namespace', () => {
  const ids = { uids: [1000, 0, 1000, 1000], uid: 1000, gid: 100 };
  const identity = { ...ids, threadCount: 3, tracerPid: 0, namespacePids: [4711, 7] };
  expect(parseIdentity(status('\t4 24 100 '))).toEqual({ ...identity, groups: [4, 24, 100] });
  expect(parseIdentity(status('\t '))).toEqual({ ...identity, groups: [] });
});
