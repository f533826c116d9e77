/** The agent's pure decisions: what travels, what is rolled back, what is fenced, what is refused. */
import { freePidAfter } from '../../../agent/cell/cell';
import { kernelAtLeast } from '../../../agent/check';
import { isUsableVersion, parseCriuVersion } from '../../../agent/criu/program';
import { reasonInLog } from '../../../agent/criu/reason';
import { uncontainedPaths } from '../../../agent/files/archive';
import { localRootOf } from '../../../agent/files/localRoots';
import { judgeFile } from '../../../agent/files/shared';
import { fenceRules } from '../../../agent/network/fence';
import { groupRoot, translationPairs } from '../../../agent/network/translation';
import { parseKernelAddress, parseTcpTable, parseUnixPeers } from '../../../agent/proc/sockets';

const file = (sizeBytes: number, appendOnly: boolean) => ({
  path: '/home/u/out',
  sizeBytes,
  device: 1,
  inode: 2,
  mtimeMs: 3,
  writable: true,
  appendOnly,
});

describe('shared files', () => {
  test('unchanged stays', () => expect(judgeFile(file(10, true), 10)).toEqual({ action: 'keep' }));
  test('an appended tail is cut', () =>
    expect(judgeFile(file(10, true), 25)).toEqual({ action: 'roll-back', tailBytes: 15 }));
  test.each([
    ['grown, but not by appending', file(10, false), 25],
    ['shrunk', file(10, true), 9],
    ['gone', file(10, true), null],
  ])('%s is refused with a remedy', (_, recorded, now) => {
    const verdict = judgeFile(recorded, now);
    expect(verdict.action).toBe('refuse');
    expect(verdict.action === 'refuse' && verdict.remedy).not.toBe('');
  });
});

describe('local roots', () => {
  const roots = ['/tmp', '/dev/shm'];
  test('below a root, not beside or above it', () => {
    expect(localRootOf('/tmp/a/b', roots)).toBe('/tmp');
    expect(localRootOf('/tmpfoo/a', roots)).toBeNull();
    expect(localRootOf('/tmp/../etc/passwd', roots)).toBeNull();
    expect(localRootOf('/tmp', roots)).toBeNull();
  });
  test('an archive that leaves them is found out', () => {
    const listing = 'tmp/ok\ntmp/../etc/shadow\nhome/u\n/etc/passwd\ndev/shm/seg\n';
    expect(uncontainedPaths(listing, roots)).toEqual(['/tmp/../etc/shadow', '/home/u', '//etc/passwd']);
  });
});

describe('network', () => {
  test('the fence drops both directions between the nodes only', () => {
    const rules = fenceRules(['10.0.0.1', '10.0.0.2', '10.0.0.1'], [4000, 5000, 4000]);
    expect(rules).toContain('ip saddr { 10.0.0.1, 10.0.0.2, 127.0.0.0/8 } tcp dport { 4000, 5000 } drop;');
    expect(rules).toContain('ip daddr { 10.0.0.1, 10.0.0.2, 127.0.0.0/8 } tcp sport { 4000, 5000 } drop;');
  });
  test('an address that is none never reaches a tool', () => {
    expect(() => fenceRules(['10.0.0.1; drop'], [1])).toThrow(/not an IPv4/);
    expect(() => translationPairs([{ original: '10.0.0.2', current: '}' }])).toThrow(/not an IPv4/);
  });
  test('control groups of version 2 are found beside older ones, and their absence too', () => {
    const v1 = '30 25 0:26 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu';
    const v2 = '31 25 0:27 / /sys/fs/cgroup/unified rw,relatime shared:4 - cgroup2 cgroup2 rw';
    expect(groupRoot(`${v1}\n${v2}\n`)).toBe('/sys/fs/cgroup/unified');
    expect(groupRoot(`${v1}\n`)).toBeNull();
  });
  test('kernel addresses', () => {
    expect(parseKernelAddress('0100007F')).toBe('127.0.0.1');
    expect(parseKernelAddress('0000000000000000FFFF00000100000A')).toBe('10.0.0.1');
    expect(parseKernelAddress('00000000000000000000000001000000')).toBe(
      '0000:0000:0000:0000:0000:0000:0000:0001',
    );
  });
  test('the TCP table', () => {
    const table = [
      '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode',
      '   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0',
      '   1: 0100007F:1F90 0200007F:C350 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1 0',
    ].join('\n');
    expect(parseTcpTable(table)).toEqual([
      { inode: 4711, localPort: 8080, remoteAddress: '0.0.0.0', remotePort: 0, listening: true },
      { inode: 4712, localPort: 8080, remoteAddress: '127.0.0.2', remotePort: 50000, listening: false },
    ]);
  });
  test('UNIX socket peers', () => {
    const text =
      'u_str ESTAB 0 0 * 100 * 101\nu_str LISTEN 0 128 /run/x 55 * 0\nu_str ESTAB 0 0 @abs 101 * 100\n';
    expect([...parseUnixPeers(text)]).toEqual([
      [100, 101],
      [101, 100],
    ]);
  });
});

describe('CRIU', () => {
  test('versions', () => {
    expect(isUsableVersion(parseCriuVersion('Version: 4.2.1') ?? [])).toBe(true);
    expect(isUsableVersion(parseCriuVersion('Version: 4.2') ?? [])).toBe(true);
    expect(isUsableVersion(parseCriuVersion('Version: 3.17.1') ?? [])).toBe(false);
    expect(parseCriuVersion('no such thing')).toBeNull();
  });
  test('the first errors of a log are the reason', () => {
    const log = [
      "(00.01) Warn  (criu/x.c:1): Can't setup RLIMIT_NOFILE for self",
      "(00.02) Error (criu/sk-inet.c:191): inet: Can't dump a socket of type 3",
      '(00.03) Error (criu/cr-dump.c:1768): Dump files (pid: 5) failed with -1',
    ].join('\n');
    expect(reasonInLog(log)).toBe("inet: Can't dump a socket of type 3; Dump files (pid: 5) failed with -1");
    expect(reasonInLog('')).toBe('no reason in its log');
  });
  test('its own processes get pids that the image does not need', () => {
    expect(freePidAfter([])).toBe(2);
    expect(freePidAfter([2, 3, 400])).toBe(4);
    expect(freePidAfter([100, 200, 350])).toBe(351);
  });
});

test('kernel versions', () => {
  expect(kernelAtLeast('6.18.44-x', 6, 7)).toBe(true);
  expect(kernelAtLeast('6.1.0-20-amd64', 6, 7)).toBe(false);
  expect(kernelAtLeast('7.0.1', 6, 7)).toBe(true);
});
