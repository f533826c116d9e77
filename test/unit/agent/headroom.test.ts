/** On real control groups: what a snapshot may cost before the job would be killed for it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { memoryHeadroom } from '../../../agent/memory/headroom';
import { testUnless } from '../../harness/testUnless';

const MIB = 2 ** 20;
const LIMIT_BYTES = 96 * MIB;

/** Directory in which this process may make memory groups, and the name of their limit; null where there is none. */
function memoryGroups(): { parent: string; limit: string } | null {
  const own = readFileSync('/proc/self/cgroup', 'utf8');
  const v1 = /^\d+:memory:(\/.*)$/m.exec(own)?.[1];
  if (v1 !== undefined) return { parent: join('/sys/fs/cgroup/memory', v1), limit: 'memory.limit_in_bytes' };
  const control = '/sys/fs/cgroup/cgroup.subtree_control';
  const hasMemory = existsSync(control) && readFileSync(control, 'utf8').includes('memory');
  return hasMemory ? { parent: '/sys/fs/cgroup', limit: 'memory.max' } : null;
}

const found = memoryGroups();
const root = found && existsSync(found.parent) ? found : null;
const limited = testUnless(root === null ? 'no control groups of memory can be made on this machine' : null);

let directory: string;
let group: string;
let child: ChildProcess;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-headroom-'));
  child = spawn('sh', [
    '-c',
    'read first; head -c 67108864 /dev/zero > "$1"; echo done; read second',
    'sh',
    join(directory, 'file'),
  ]);
  if (root === null) return;
  group = join(root.parent, `holdfast-test-${process.pid}-${child.pid}`);
  mkdirSync(group);
  writeFileSync(join(group, root.limit), String(LIMIT_BYTES));
  writeFileSync(join(group, 'cgroup.procs'), String(child.pid));
});
afterEach(async () => {
  const gone = once(child, 'close');
  child.kill('SIGKILL');
  await gone;
  rmSync(directory, { recursive: true });
  if (root !== null) rmdirSync(group);
});

limited('a control group limits it, and what it has cached of files does not', async () => {
  const before = memoryHeadroom([process.pid, child.pid ?? 0]);
  expect(before.of).toContain(group);
  expect(before.bytes).toBeLessThanOrEqual(LIMIT_BYTES);
  expect(before.bytes).toBeGreaterThan(LIMIT_BYTES / 2);
  child.stdin?.write('\n');
  if (child.stdout) await once(child.stdout, 'data');
  expect(memoryHeadroom([process.pid, child.pid ?? 0]).bytes).toBeGreaterThan(LIMIT_BYTES / 2);
});

test('without a group the node limits it, and one that has ended has no group', () => {
  expect(memoryHeadroom([2 ** 22 - 1]).of).toBe("the node's memory");
  expect(memoryHeadroom([2 ** 22 - 1]).bytes).toBeGreaterThan(0);
});
