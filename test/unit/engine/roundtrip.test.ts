/** Memory of one stopped process, carried into another of the same layout, which then checks it itself. */
import { execFileSync } from 'node:child_process';
import { startFill } from '../../../native';
import { type Captured, captureAll } from './capture-all';
import { indexBody, readMaps, sha256 } from './format';
import { buildVictim, stopProcess, type Victim } from './victim';

const program = buildVictim();
afterEach(() => program.endAll());
afterAll(() => program.remove());

async function fillTwin(captured: Captured, imagePid: number): Promise<string[]> {
  const twin = await program.start();
  const before = await twin.sums();
  await twin.stop();
  const fill = startFill(captured.index, [{ imagePid, pid: twin.pid }], { threads: 2 });
  expect(fill.packNumbers()).toEqual([...captured.packs.keys()].sort((a, b) => a - b));
  await Promise.all([...captured.packs].map(([number, body]) => fill.writePack(number, body)));
  expect(fill.writtenPages()).toBe(fill.totalPages());
  expect(fill.totalPages()).toBe(captured.totals.capturedPages);
  fill.close();
  twin.resume();
  const after = await twin.sums();
  expect(after).not.toEqual(before);
  return after;
}

async function filledVictim(): Promise<Victim> {
  const victim = await program.start();
  await victim.ask('fill', 'filled');
  return victim;
}

test.each([
  ['PAGEMAP_SCAN, zstd', 'probe', 1],
  ['PAGEMAP_SCAN, no compression', 'probe', 0],
  ['pagemap entries, zstd', 'entries', 3],
] as const)(
  'a twin filled from the packs has the same memory (%s)',
  async (_, pageScan, compressionLevel) => {
    const victim = await filledVictim();
    await victim.stop();
    const captured = await captureAll([{ pid: victim.pid, imagePid: 7 }], { compressionLevel }, pageScan);
    victim.resume();
    const sums = await victim.sums();
    expect(await fillTwin(captured, 7)).toEqual(sums);
    for (const [number, body] of captured.packs) {
      expect(sha256(body).toString('hex')).toBe(captured.sha256.get(number));
      const [xxh3] = execFileSync('xxh128sum', ['-'], { input: body, encoding: 'latin1' }).split(' ');
      expect(xxh3).toBe(captured.xxh3.get(number));
    }
  },
);

test('which kinds of memory this machine has', async () => {
  const { hugePages, guards } = await program.start();
  const lacking = [
    ...(hugePages ? [] : ['huge pages (no free 2 MiB page)']),
    ...(guards ? [] : ['guard pages (no MADV_GUARD_INSTALL)']),
  ];
  if (lacking.length > 0) console.log(`not in the victim's memory: ${lacking.join(', ')}`);
});

test('the index names exactly the pages that must be stored', async () => {
  const victim = await filledVictim();
  await victim.stop();
  const captured = await captureAll([{ pid: victim.pid, imagePid: 9 }], { compressionLevel: 0 });
  const maps = readMaps(indexBody(captured.index));
  const stored = (start: bigint) => {
    const map = maps.find((m) => m.start === start);
    if (!map) throw new Error(`no map at ${start.toString(16)}`);
    const pages = map.chunks.flatMap((c) =>
      c.runs.flatMap((r) =>
        Array.from({ length: r.pages }, (_, i) => Number((r.address - start) / 4096n) + i),
      ),
    );
    return { kind: map.kind, protection: map.protection, pages };
  };
  const range = (count: number) => Array.from({ length: count }, (_, i) => i);

  // Without the zeroed page 2, and page 7, which was only read.
  expect(stored(0x100000000000n)).toEqual({
    kind: 0,
    protection: 3,
    pages: range(2000).filter((i) => i % 5 !== 2),
  });
  // Copied pages only; the zeroed page 2 is one of them.
  expect(stored(0x110000000000n)).toEqual({
    kind: 1,
    protection: 3,
    pages: range(64).filter((i) => i % 4 === 1 || i === 2),
  });
  expect(stored(0x120000000000n)).toEqual({ kind: 0, protection: 0, pages: range(300) });
  expect(stored(0x130000000000n)).toEqual({ kind: 0, protection: 1, pages: range(10) });
  if (victim.guards)
    expect(stored(0x140000000000n).pages).toEqual([...range(4), 8, 9, 10, 11, 12, 13, 14, 15]);
  expect(stored(0x200000000000n).pages).toEqual(range(16 * 2 ** 20).filter((i) => i % 1048573 === 7));

  for (const chunk of maps.flatMap((m) => m.chunks)) {
    const blob = captured.packs.get(chunk.pack)?.subarray(chunk.offset, chunk.offset + chunk.length);
    expect(blob && sha256(blob.subarray(64))).toEqual(chunk.sha256);
  }
  const { totals } = captured;
  expect(totals.capturedPages).toBe(maps.flatMap((m) => m.chunks).reduce((sum, c) => sum + c.pages, 0));
  expect(totals.scannedPages).toBe(totals.capturedPages + totals.zeroPages);
  expect(totals.capturedBytes).toBe(totals.capturedPages * 4096);
  expect(totals.storedBytes).toBe([...captured.packs.values()].reduce((sum, p) => sum + p.length, 0));
});

test('processes that share their memory are captured once', async () => {
  const victim = await filledVictim();
  const [answer] = await victim.ask('share', 'child');
  const child = Number(answer?.split(' ')[1]);
  await victim.stop();
  await stopProcess(child);
  const alone = await captureAll([{ pid: victim.pid, imagePid: 7 }], { compressionLevel: 0 });
  const both = await captureAll(
    [
      { pid: victim.pid, imagePid: 7 },
      { pid: child, imagePid: 8 },
    ],
    { compressionLevel: 0 },
  );
  expect(both.totals).toEqual(alone.totals);
  expect(new Set(readMaps(indexBody(both.index)).map((m) => m.imagePid))).toEqual(new Set([7]));
});

test('two processes in one capture keep their own memory', async () => {
  const filled = await filledVictim();
  const empty = await program.start();
  await filled.stop();
  await empty.stop();
  const captured = await captureAll([
    { pid: filled.pid, imagePid: 21 },
    { pid: empty.pid, imagePid: 22 },
  ]);
  filled.resume();
  const twins = [await program.start(), await program.start()] as const;
  for (const twin of twins) await twin.stop();
  const targets = twins.map((twin, i) => ({ imagePid: 21 + i, pid: twin.pid }));
  const fill = startFill(captured.index, targets, { threads: 1 });
  for (const number of fill.packNumbers())
    await fill.writePack(number, captured.packs.get(number) ?? Buffer.alloc(0));
  fill.close();
  for (const twin of twins) twin.resume();
  empty.resume();
  expect(await twins[0].sums()).toEqual(await filled.sums());
  expect(await twins[1].sums()).toEqual(await empty.sums());
});
