/**
 * The look at frozen processes that passes over what a round has seen: each case changes memory in one way between the two, and
 * then all that is stored is compared with what /proc shows.
 */
import { Generations } from './capture-all';
import { storedPages, wrongInStore } from './compare';
import { type Shadow, shadowOf } from './shadow';
import { buildVictim, type Victim } from './victim';

const program = buildVictim('pages');
afterEach(() => program.endAll());
afterAll(() => program.remove());

/** The first that the kernel does not obey, or null. */
async function refusedBy(victim: Victim, commands: readonly string[]): Promise<string | null> {
  for (const command of commands) {
    const [answer] = await victim.ask(command, 'done');
    if (answer !== 'done') return command;
  }
  return null;
}

class Run {
  readonly generations = new Generations('write-protect', { compressionLevel: 0 });
  refused: string | null = null;

  constructor(private readonly victim: Victim) {}

  /** What is wrong in a generation, with these changes between its round and its hold. */
  async wrongAfter(changes: readonly string[]): Promise<string[]> {
    const { victim, generations } = this;
    let shadow: Shadow | undefined;
    const generation = await generations.capture(
      () => [{ pid: victim.pid, imagePid: victim.pid }],
      1,
      async () => {
        this.refused ??= await refusedBy(victim, changes);
        await victim.stop();
        return {
          snapshots: [],
          release: async () => {
            shadow = shadowOf([victim.pid]);
            victim.resume();
          },
        };
      },
    );
    if (!shadow) throw new Error('the processes were not let go');
    return wrongInStore(shadow, storedPages({ ...generation, packs: generations.packsOf(generation) }));
  }
}

/** Four page tables, and pages on both sides of where two processors share the map. */
const SETUP = ['fill 0 2048', 'fill 65472 128'];

/** Commands of test/victims/pages.c; a page table is of 512 pages. */
interface Case {
  readonly name: string;
  readonly changes: readonly string[];
  readonly setup?: readonly string[];
}

const CASES: readonly Case[] = [
  { name: 'nothing', changes: [] },
  { name: 'written pages', changes: ['fill 5 1', 'fill 600 3', 'fill 65535 2'] },
  { name: 'so many written runs that the kernel names them in parts', changes: runs('fill', 700) },
  { name: 'single dropped pages', changes: ['drop 5 1', 'drop 300 1', 'drop 700 3', 'drop 65535 2'] },
  { name: 'a page that was dropped and written', changes: ['drop 300 1', 'fill 300 1'] },
  { name: 'a page that was dropped and read', changes: ['drop 300 1', 'read 300 1'] },
  { name: 'a dropped page table', changes: ['drop 512 512'] },
  { name: 'dropped page tables and parts of others', changes: ['drop 300 1500', 'drop 65472 64'] },
  { name: 'a dropped page table of which some are read', changes: ['drop 512 512', 'read 800 4'] },
  { name: 'a dropped page table of which some are written', changes: ['drop 512 512', 'fill 800 4'] },
  {
    name: 'pages that were zero pages',
    changes: ['read 2100 80', 'drop 2110 3', 'fill 2120 2'],
    setup: ['read 2048 100'],
  },
  { name: 'pages where none were', changes: ['fill 3000 100', 'read 3200 100', 'fill 66000 1'] },
  { name: 'a dropped huge page', changes: ['drop 1024 512'], setup: ['huge 1024 512'] },
  {
    name: 'a huge page of which some are dropped',
    changes: ['drop 1100 3', 'drop 1300 100'],
    setup: ['huge 1024 512'],
  },
  { name: 'a huge page of which some are written', changes: ['fill 1100 3'], setup: ['huge 1024 512'] },
  {
    name: 'a huge page in the place of a dropped one',
    changes: ['drop 1024 512', 'huge 1024 512'],
    setup: ['huge 1024 512'],
  },
  { name: 'pages collapsed to a huge page', changes: ['huge 512 512'] },
  { name: 'pages given up, not yet taken', changes: ['free 100 300'] },
  { name: 'pages given up, and taken', changes: ['free 100 300', 'out 100 300'] },
  { name: 'guard pages', changes: ['guard 100 80', 'guard 700 1'] },
  { name: 'guard pages that went', changes: ['unguard 100 50'], setup: ['guard 100 100'] },
  { name: 'a map split by its protection', changes: ['limit 100 200'] },
  {
    name: 'a map split by its protection, with pages dropped',
    changes: ['limit 100 200', 'drop 290 20', 'drop 900 1'],
  },
  { name: 'a new map in the middle', changes: ['renew 300 400', 'fill 500 2'] },
  { name: 'pages moved away', changes: ['move 300 100'] },
  { name: 'a page table moved away', changes: ['lift 512 512'] },
  { name: 'a page table moved away, and some pages written anew', changes: ['lift 512 512', 'fill 600 2'] },
];

function runs(what: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${what} ${i * 2} 1`);
}

test.each(CASES)('$name', async ({ changes, setup = [] }) => {
  const victim = await program.start();
  const run = new Run(victim);
  run.refused = await refusedBy(victim, [...SETUP, ...setup]);
  expect(await run.wrongAfter([])).toEqual([]);
  run.generations.ledger.commit();
  expect(await run.wrongAfter(changes)).toEqual([]);
  // What was marked as not written, or not, is so for those that follow.
  run.generations.ledger.rollback();
  expect(await run.wrongAfter([])).toEqual([]);
  run.generations.ledger.commit();
  expect(await run.wrongAfter(['fill 0 20', 'fill 1000 20'])).toEqual([]);
  if (run.refused !== null) console.log(`not tested: this kernel refuses "${run.refused}"`);
});
