/** The watchdog of a lazy restart, by its real program: when it says that the memory of a tree is lost, and when not. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LazyGuard } from '../../../agent/memory/lazyGuard';

let directory: string;
let tree: ChildProcess;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'holdfast-lazy-'));
  tree = spawn('sleep', ['600']);
});
afterEach(() => {
  tree.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

async function watch(onLost: () => void): Promise<LazyGuard> {
  const guard = new LazyGuard({
    images: directory,
    reasonFile: join(directory, 'reason'),
    initPid: tree.pid ?? 0,
    onProcess: () => undefined,
    onLost,
  });
  await guard.listening;
  return guard;
}

/** Of this process. */
function childNamed(comm: string): number {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ');
  const found = children.find((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === comm);
  if (found === undefined) throw new Error(`no child ${comm} among ${children.join(', ')}`);
  return Number(found);
}

test('a tree that ends by itself before its memory is there has lost nothing', async () => {
  const onLost = jest.fn();
  const guard = await watch(onLost);
  tree.kill('SIGKILL');
  await expect(guard.restored).rejects.toThrow('it ended');
  expect(onLost).not.toHaveBeenCalled();
});

test('the memory is lost when the watchdog is killed', async () => {
  const onLost = jest.fn();
  const guard = await watch(onLost);
  process.kill(childNamed('holdfast-lazy'), 'SIGKILL');
  await expect(guard.restored).rejects.toThrow('it ended');
  expect(onLost).toHaveBeenCalledTimes(1);
});
