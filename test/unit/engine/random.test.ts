/**
 * Trees that change their memory at random, captured again and again in every way there is, and compared page by page.
 * HOLDFAST_TEST_SEED replays the decisions of a run, HOLDFAST_TEST_ATTEMPTS makes it longer.
 */
import { buildMutator, type Mutators } from './mutators';
import { RandomRun } from './random-run';

const seed = Number(process.env.HOLDFAST_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));
const attempts = Number(process.env.HOLDFAST_TEST_ATTEMPTS ?? 30);

const program = buildMutator();
afterAll(() => program.remove());

function randomNumbers(from: number): (limit: number) => number {
  let state = BigInt(from) * 2n + 1n;
  return (limit) => {
    state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
    return Number(state >> 33n) % limit;
  };
}

/** Each that is asked for; what a kernel does not have becomes fingerprints, and is not tried twice. */
const methods = ['write-protect', 'soft-dirty', 'fingerprint'] as const;

test.each(methods)(
  'random generations, not one page wrong (%s)',
  async (method) => {
    const below = randomNumbers(seed);
    const mutators: Mutators = await program.start(seed);
    try {
      const run = new RandomRun(mutators, method, below);
      while (run.counts.attempts < attempts) {
        const wrong = await run.attempt();
        if (run.refusal !== '') return console.log(`not tried with ${method}: ${run.refusal}`);
        if (wrong.length > 0)
          throw new Error(
            `HOLDFAST_TEST_SEED=${seed}: ${wrong.length} pages\n${wrong.slice(0, 20).join('\n')}`,
          );
      }
      console.log(
        `HOLDFAST_TEST_SEED=${seed} ${method}: ${JSON.stringify(run.counts)} ${[...run.methods].join()}`,
      );
    } finally {
      await mutators.end();
    }
  },
  40_000 + attempts * 1000,
);
