/** What a node builds on: only what the coordinator names as committed (M3). On the real engine, with real processes. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type GenerationId, TreeMemory } from '../../../agent/memory/treeMemory';
import { startCapture } from '../../../native';

const MIB = 2 ** 20;
let child: ReturnType<typeof spawn>;

beforeAll(async () => {
  child = spawn('sh', ['-c', 'echo ready; read never'], { stdio: ['pipe', 'pipe', 'ignore'] });
  if (child.stdout) await once(child.stdout, 'data'); // else it may be stopped before it has loaded its libraries
  process.kill(child.pid ?? 0, 'SIGSTOP');
});
afterAll(async () => {
  child.kill('SIGKILL');
  await once(child, 'exit');
});

const generation = (number: number): GenerationId => ({ generation: number, epoch: 100 + number });

/** One attempt; the pages that it had to read. */
async function capture(
  memory: TreeMemory,
  base: GenerationId | null,
  next: number,
  keyId?: string,
): Promise<number> {
  memory.begin(base, generation(next), keyId);
  const attempt = startCapture(memory.ledger, {
    ...{ budgetBytes: 24 * MIB, packBytes: 4 * MIB, chunkPages: 64, threads: 1, compressionLevel: 1 },
  });
  const taken = (async () => {
    for (let pack = await attempt.next(); pack; pack = await attempt.next()) attempt.recycle(pack.number);
  })();
  const processes = [{ pid: child.pid ?? 0, imagePid: 1 }];
  await attempt.round(processes);
  await attempt.freeze(processes, []);
  await attempt.readHeld();
  await attempt.finish();
  await taken;
  const { capturedPages, reusedPages } = attempt.totals();
  attempt.close();
  return capturedPages - reusedPages;
}

test('a committed generation is built on; one that was not committed, or another one, is stored again', async () => {
  const memory = new TreeMemory('probe');
  const all = await capture(memory, null, 1);
  expect(all).toBeGreaterThan(10);
  expect(await capture(memory, generation(1), 2)).toBeLessThan(all / 2);
  // 2 was not committed: the coordinator still names 1.
  expect(await capture(memory, generation(1), 3)).toBeLessThan(all / 2);
  expect(await capture(memory, generation(3), 4)).toBeLessThan(all / 2);
  // Somebody else's generation, and none at all.
  expect(await capture(memory, { generation: 4, epoch: 7 }, 5)).toBe(all);
  expect(await capture(memory, null, 6)).toBe(all);
});

test('a new key stores everything anew', async () => {
  const memory = new TreeMemory('probe');
  const all = await capture(memory, null, 1, 'one');
  expect(await capture(memory, generation(1), 2, 'one')).toBeLessThan(all / 2);
  expect(await capture(memory, generation(2), 3, 'two')).toBe(all);
});
