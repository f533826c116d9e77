/**
 * Trees that change their memory at random, captured again and again in every way there is, and compared page by page; some of
 * what was captured is restored into processes, and these are compared.
 * HOLDFAST_TEST_SEED replays the decisions of a run, HOLDFAST_TEST_ATTEMPTS makes it longer.
 */
import { takeHugePages, takeSwap } from '../harness/machineMemory';
import { buildHollow } from '../unit/engine/hollow';
import { buildMutator, type Mutators } from '../unit/engine/mutators';
import { RandomRun } from '../unit/engine/random-run';

const seed = Number(process.env.HOLDFAST_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));
const attempts = Number(process.env.HOLDFAST_TEST_ATTEMPTS ?? 150);

/** For the processes of a tree, and those that they are restored into. */
const HUGE_PAGES = 24;
const SWAP_MIB = 64;

const program = buildMutator();
const hollow = buildHollow();
const hugePages = takeHugePages(HUGE_PAGES);
const swap = takeSwap(SWAP_MIB);
const say = (text: string): boolean => process.stderr.write(`${text}\n`);

for (const { whyNot } of [hugePages, swap]) if (whyNot !== null) say(`not tested: ${whyNot}`);
// Now: whatever happens, it is known.
say(`HOLDFAST_TEST_SEED=${seed}`);

afterAll(async () => {
  program.remove();
  hollow.remove();
  await hugePages.giveBack();
  await swap.giveBack();
});

function randomNumbers(from: number): (limit: number) => number {
  let state = BigInt(from) * 2n + 1n;
  return (limit) => {
    state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
    return Number(state >> 33n) % limit;
  };
}

async function attemptAll(run: RandomRun): Promise<void> {
  while (run.counts.attempts < attempts && run.refusal === '') {
    const wrong = await run.attempt();
    if (wrong.length > 0) throw new Error(`${wrong.length} are wrong\n${wrong.slice(0, 20).join('\n')}`);
  }
}

/** Each that is asked for; what a kernel does not have becomes fingerprints, and is not tried twice. */
const methods = ['write-protect', 'soft-dirty', 'fingerprint'] as const;

test.each(methods)(
  'random generations, not one page wrong (%s)',
  async (method) => {
    const mutators: Mutators = await program.start(seed);
    const run = new RandomRun(mutators, hollow, method, randomNumbers(seed));
    try {
      await attemptAll(run);
    } catch (error) {
      const where = `HOLDFAST_TEST_SEED=${seed}, attempt ${run.counts.attempts} with ${method}`;
      throw new Error(`${where}: ${(error as Error).message}`, { cause: error });
    } finally {
      await mutators.end();
    }
    if (run.refusal !== '') {
      say(`not tested: ${method}: ${run.refusal}`);
      return;
    }
    const { met } = run.counts;
    for (const line of run.counts.lines([...run.counts.methods].join()))
      say(`HOLDFAST_TEST_SEED=${seed} ${line}`);
    say(`met at holds: ${met.shared} shared pages, ${met.huge} huge, ${met.swapped} in the swap`);
  },
  40_000 + attempts * 1000,
);
