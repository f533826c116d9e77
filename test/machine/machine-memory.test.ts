/** Memory that a machine has only if it was given some: huge pages, and pages in the swap. */
import { startFill } from '../../native';
import { takeHugePages, takeSwap } from '../harness/machineMemory';
import { testUnless } from '../harness/testUnless';
import { type Generation, Generations } from '../unit/engine/capture-all';
import { bodyOf } from '../unit/engine/compare';
import { indexBody, readMaps } from '../unit/engine/format';
import { privateMapsOf } from '../unit/engine/shadow';
import { buildVictim, type Victim } from '../unit/engine/victim';

const HUGE = 0x150000000000;
const ANONYMOUS = 0x100000000000;

/** One for each victim of a test. */
const hugePages = takeHugePages(5);
const swap = takeSwap(32);
const program = buildVictim();
afterEach(() => program.endAll());
afterAll(async () => {
  program.remove();
  await hugePages.giveBack();
  await swap.giveBack();
});

async function nothing(): Promise<void> {}

/** @param change what happens between the rounds and the hold */
function capture(
  generations: Generations,
  victim: Victim,
  rounds = 1,
  change: () => Promise<unknown> = nothing,
): Promise<Generation> {
  const processes = () => [{ pid: victim.pid, imagePid: 7 }];
  return generations.capture(processes, rounds, async () => {
    await change();
    await victim.stop();
    return { snapshots: [], release: async () => victim.resume() };
  });
}

async function filledVictim(): Promise<Victim> {
  const victim = await program.start();
  await victim.ask('fill', 'filled');
  return victim;
}

const pagesAt = ({ index }: Generation, start: number): number =>
  (readMaps(indexBody(index)).find((map) => map.start === BigInt(start))?.chunks ?? []).reduce(
    (sum, { pages }) => sum + pages,
    0,
  );

// The kernel leaves its mark of "not written" where a huge page was.
testUnless(hugePages.whyNot)(
  'a huge page that was dropped is not taken for one that was not written',
  async () => {
    const victim = await filledVictim();
    const generations = new Generations('write-protect', { compressionLevel: 0 });
    expect(pagesAt(await capture(generations, victim), HUGE)).toBe(512);
    generations.ledger.commit();
    expect(pagesAt(await capture(generations, victim), HUGE)).toBe(512);
    generations.ledger.commit();
    await victim.ask('drop huge', 'dropped');
    // With the page away, and with a new one in its place that was only read.
    expect(pagesAt(await capture(generations, victim), HUGE)).toBe(0);
    generations.ledger.rollback();
    await victim.sums();
    expect(pagesAt(await capture(generations, victim), HUGE)).toBe(0);
  },
);

const swappedPages = (pid: number): number =>
  privateMapsOf(pid).find(({ start }) => start === ANONYMOUS)?.swapped.size ?? 0;

/** What a restore of the generation shows is what the victim has. */
async function expectRestorable(
  generations: Generations,
  generation: Generation,
  victim: Victim,
): Promise<void> {
  const twin = await program.start();
  await twin.stop();
  const filling = startFill(generation.index, [{ imagePid: 7, pid: twin.pid }], { threads: 2 });
  const packs = generations.packsOf(generation);
  for (const number of filling.packNumbers()) await filling.writePack(number, bodyOf(packs, number));
  filling.close();
  twin.resume();
  expect(await twin.sums()).toEqual(await victim.sums());
}

testUnless(swap.whyNot).each([0, 1])('pages in the swap are captured (%d rounds)', async (rounds) => {
  const [victim, other] = [await filledVictim(), await filledVictim()];
  for (const one of [victim, other]) await one.ask('page out', 'paged out');
  // To look is to bring them back: of two that did the same, one is looked at.
  expect(swappedPages(other.pid)).toBeGreaterThan(100);
  const generations = new Generations('probe', { compressionLevel: 0 });
  const generation = await capture(generations, victim, rounds);
  await expectRestorable(generations, generation, victim);
});

testUnless(swap.whyNot)('pages that were swapped out and in between a round and the hold', async () => {
  const [victim, other] = [await filledVictim(), await filledVictim()];
  await other.ask('page out', 'paged out');
  expect(swappedPages(other.pid)).toBeGreaterThan(100);
  const generations = new Generations('probe', { compressionLevel: 0 });
  const out = () => victim.ask('page out', 'paged out');
  const outAndIn = async () => {
    await out();
    await victim.sums();
  };
  for (const change of [nothing, out, outAndIn]) {
    const generation = await capture(generations, victim, 1, change);
    generations.ledger.commit();
    // The 1600 of the map that was swapped are not among them.
    if (change !== nothing) expect(generation.counts.stalePages).toBeLessThan(1000);
    await expectRestorable(generations, generation, victim);
  }
});
