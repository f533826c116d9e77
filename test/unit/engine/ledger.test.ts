/** What the engine knows from one generation to the next, and what it reads and stores because of it. */
import { startFill } from '../../../native';
import { type Generation, Generations, MIB } from './capture-all';
import { storedPages } from './compare';
import { indexBody, readMaps } from './format';
import { readMemory } from './shadow';
import { buildVictim, stopProcess, type Victim } from './victim';

const program = buildVictim();
afterEach(() => program.endAll());
afterAll(() => program.remove());

const processesOf =
  (...pids: number[]) =>
  () =>
    pids.map((pid) => ({ pid, imagePid: pid }));

function capture(generations: Generations, victim: Victim, rounds = 1): Promise<Generation> {
  return generations.capture(processesOf(victim.pid), rounds, async () => {
    await victim.stop();
    return { snapshots: [], release: async () => victim.resume() };
  });
}

async function bigVictim(mib: number): Promise<Victim> {
  const victim = await program.start();
  await victim.ask(`big ${mib}`, 'big');
  return victim;
}

const PAGES_PER_MIB = MIB / 4096;
/** Stack, heap and the C library's data: what any process has written since it was looked at, and maps of files. */
const OTHER_PAGES = 200;

test('what was not written is neither read nor stored again', async () => {
  const victim = await bigVictim(16);
  const generations = new Generations();
  const first = await capture(generations, victim);
  generations.ledger.commit();
  expect(generations.ledger.trackers()).toEqual([{ pid: victim.pid, method: 'write-protect', refusal: '' }]);
  expect(first.totals.readPages).toBeGreaterThan(16 * PAGES_PER_MIB);
  const second = await capture(generations, victim);
  expect(second.totals.readPages).toBeLessThan(2 * OTHER_PAGES);
  expect(second.counts.stalePages).toBeLessThan(OTHER_PAGES);
  expect(second.totals.storedBytes).toBeLessThan(first.totals.storedBytes / 20);
  expect(second.packs).toEqual(expect.arrayContaining([1]));
});

test('after a rollback everything of the attempt is stored again, and a commit keeps it', async () => {
  const victim = await bigVictim(8);
  const generations = new Generations();
  await capture(generations, victim);
  generations.ledger.rollback();
  expect(generations.ledger.use()).toEqual({ storedBytes: 0, liveBytes: 0 });
  const first = await capture(generations, victim);
  generations.ledger.commit();
  expect(first.totals.capturedPages).toBeGreaterThan(8 * PAGES_PER_MIB);
  expect(Math.min(...first.packs)).toBeGreaterThan(1);
  await capture(generations, victim);
  generations.ledger.rollback();
  const third = await capture(generations, victim);
  expect(third.totals.capturedPages).toBeLessThan(OTHER_PAGES);
  // Nothing of what was rolled back is named.
  expect(
    third.packs
      .filter((pack) => !first.packs.includes(pack))
      .every((pack) => pack > Math.max(...first.packs) + 1),
  ).toBe(true);
});

// The kernel makes one map of both halves again, which is tracked no more, and leaves the marks of "not written" in the first half.
test('writes are seen in a map of which a part was moved away and back', async () => {
  const victim = await bigVictim(1);
  const generations = new Generations('write-protect', { compressionLevel: 0 });
  const stored = async () => {
    const generation = await capture(generations, victim);
    generations.ledger.commit();
    return storedPages({ ...generation, packs: generations.packsOf(generation) }).get(victim.pid);
  };
  await stored();
  await victim.ask('move away', 'moved');
  await stored();
  await victim.ask('move back', 'moved');
  // The same pages in both: while nothing tracks them, and then.
  await victim.ask('touch 0', 'touched');
  await stored();
  await victim.ask('touch 16', 'touched');
  const pages = await stored();
  const address = 0x300000000000;
  expect(pages?.get(address)).toEqual(readMemory(victim.pid, address, 4096));
});

// Write-protection of such a map would have the kernel try for ever.
test('a tracked process can put guards into a private map of a file', async () => {
  const victim = await program.start();
  await victim.ask('fill', 'filled');
  const generations = new Generations();
  await capture(generations, victim);
  generations.ledger.commit();
  await capture(generations, victim);
  await victim.ask('guard file', 'guarded');
});

test('a second attempt at the same time is refused', async () => {
  const victim = await bigVictim(1);
  const generations = new Generations();
  await capture(generations, victim);
  await expect(capture(generations, victim)).rejects.toMatchObject({ code: 'WRONG_STATE' });
});

test('equal memory of two processes is stored once', async () => {
  const one = await bigVictim(16);
  const other = await bigVictim(16);
  await one.stop();
  await other.stop();
  const { totals } = await new Generations().capture(processesOf(one.pid, other.pid), 0, async () => ({
    snapshots: [],
    release: async () => {},
  }));
  expect(totals.reusedPages).toBeGreaterThan(15 * PAGES_PER_MIB);
  expect(totals.storedBytes).toBeLessThan(20 * MIB);
});

test('a process that forbids what tracking needs is compared by fingerprints, and says why', async () => {
  const victim = await bigVictim(8);
  await victim.ask('confine', 'confined');
  const generations = new Generations();
  await capture(generations, victim);
  generations.ledger.commit();
  const [tracker] = generations.ledger.trackers();
  expect(tracker).toMatchObject({
    pid: victim.pid,
    method: 'fingerprint',
    refusal: expect.stringContaining('seccomp'),
  });
  const second = await capture(generations, victim, 0);
  expect(second.totals.readPages).toBeGreaterThan(8 * PAGES_PER_MIB);
  expect(second.totals.capturedPages).toBeLessThan(OTHER_PAGES);
});

test('a process whose memory is also written behind the page tables is read as a whole at the hold', async () => {
  const victim = await bigVictim(8);
  const generations = new Generations();
  const processes = () => [{ pid: victim.pid, imagePid: victim.pid, isUntracked: true }];
  const freeze = async () => {
    await victim.stop();
    return { snapshots: [], release: async () => victim.resume() };
  };
  await generations.capture(processes, 1, freeze);
  generations.ledger.commit();
  const second = await generations.capture(processes, 1, freeze);
  expect(second.counts.stalePages).toBe(second.counts.presentPages);
  expect(second.totals.capturedPages).toBeLessThan(OTHER_PAGES);
});

test('a method this kernel does not have is never used', async () => {
  const victim = await bigVictim(1);
  const generations = new Generations('soft-dirty');
  await capture(generations, victim);
  const [tracker] = generations.ledger.trackers();
  if (tracker?.method === 'soft-dirty')
    return console.log('this kernel has soft-dirty bits: nothing to refuse');
  expect(tracker).toMatchObject({ method: 'fingerprint', refusal: 'this kernel has no soft-dirty' });
});

test('a child is tracked from its first generation on', async () => {
  const victim = await bigVictim(8);
  const generations = new Generations();
  await capture(generations, victim);
  generations.ledger.commit();
  const [answer] = await victim.ask('fork', 'child');
  const child = Number(answer?.split(' ')[1]);
  const both = () =>
    generations.capture(processesOf(victim.pid, child), 1, async () => {
      await victim.stop();
      await stopProcess(child);
      return {
        snapshots: [],
        release: async () => {
          victim.resume();
          process.kill(child, 'SIGCONT');
        },
      };
    });
  const first = await both();
  generations.ledger.commit();
  // Its memory is its parent's: read, and found to be stored.
  expect(first.totals.readPages).toBeGreaterThan(8 * PAGES_PER_MIB);
  expect(first.totals.reusedPages).toBeGreaterThan(7 * PAGES_PER_MIB);
  expect(generations.ledger.trackers().map(({ method }) => method)).toEqual([
    'write-protect',
    'write-protect',
  ]);
  const second = await both();
  expect(second.totals.readPages).toBeLessThan(4 * OTHER_PAGES);
});

test('an exec is noticed, and the new memory tracked', async () => {
  const victim = await bigVictim(8);
  const generations = new Generations();
  await capture(generations, victim);
  generations.ledger.commit();
  await victim.ask('exec', 'ready');
  await victim.ask('big 8', 'big');
  const first = await capture(generations, victim);
  generations.ledger.commit();
  expect(first.totals.readPages).toBeGreaterThan(8 * PAGES_PER_MIB);
  const second = await capture(generations, victim);
  expect(second.counts.stalePages).toBeLessThan(OTHER_PAGES);
});

test('more equal pages than one chunk can name', async () => {
  const victim = await program.start();
  await victim.ask('same 80', 'same');
  const generations = new Generations('probe', { compressionLevel: 0 });
  const captured = await capture(generations, victim, 0);
  expect(captured.totals.storedBytes).toBeLessThan(8 * MIB);
  const chunks = readMaps(indexBody(captured.index)).flatMap((map) => map.chunks);
  expect(Math.max(...chunks.map(({ pages }) => pages))).toBe(16384);
  await victim.stop();
  const fill = startFill(captured.index, [{ imagePid: victim.pid, pid: victim.pid }], { threads: 1 });
  for (const [number, body] of generations.packsOf(captured)) await fill.writePack(number, body);
  expect(fill.writtenPages()).toBe(captured.totals.capturedPages);
  fill.close();
  victim.resume();
});

test('scattered rewriting leaves at least 60 % of the kept bytes in use', async () => {
  const victim = await bigVictim(16);
  const generations = new Generations('probe', { compressionLevel: 0, packBytes: MIB });
  const shares: number[] = [];
  let largest = 0;
  for (let turn = 0; turn < 24; turn++) {
    await victim.ask(`touch ${turn}`, 'touched');
    await capture(generations, victim, 2);
    const { storedBytes, liveBytes } = generations.ledger.use();
    generations.ledger.commit();
    shares.push(liveBytes / storedBytes);
    largest = Math.max(largest, storedBytes);
  }
  expect(Math.min(...shares)).toBeGreaterThanOrEqual(0.6);
  expect(largest).toBeLessThan((19 * MIB) / 0.6);
});
