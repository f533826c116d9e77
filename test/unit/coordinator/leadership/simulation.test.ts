/**
 * The leader is killed, or stands still and wakes up when another one leads, at named points and between any two steps.
 * HOLDFAST_TEST_SEED replays a run, HOLDFAST_TEST_ATTEMPTS makes it longer. HOLDFAST_TEST_MUTATION takes a rule away (simulation.ts), which has
 * to be found: no fence in Redis from seed 1 on at 20, no guard of the store at 523, one instance for all at 9.
 */
import type { ZlibOptions } from 'node:zlib';
import { type Mutation, Simulation } from './simulation';
import { Process } from './world';

jest.mock('../../../../core/faults', () => ({
  ...jest.requireActual('../../../../core/faults'),
  faultPoint: (point: string) => Process.reached(point),
}));

/** What a thread of its own does takes no simulated time, and is not waited for: a schedule would not be what its seed says. */
jest.mock('node:zlib', () => {
  const zlib = jest.requireActual<typeof import('node:zlib')>('node:zlib');
  const deflateRaw = (text: string, options: ZlibOptions, done: (error: null, packed: Buffer) => void) =>
    done(null, zlib.deflateRawSync(text, options));
  return { ...zlib, deflateRaw };
});

/** To know the operation of each line, Node follows every promise. Nobody reads these lines. */
jest.mock('../../../../core/log', () => ({
  ...jest.requireActual('../../../../core/log'),
  logging: (_fields: object, work: () => unknown) => work(),
}));

const SCHEDULES = Number(process.env.HOLDFAST_TEST_ATTEMPTS ?? 2_000);
const first = Number(process.env.HOLDFAST_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));
const mutation = (process.env.HOLDFAST_TEST_MUTATION as Mutation | undefined) ?? null;

test('whatever becomes of the leader, the next one brings everything to one end', async () => {
  const totals = { kills: 0, pauses: 0, takeovers: 0, refused: 0, committed: 0, removed: 0 };
  const visited = new Set<string>();
  console.log(`HOLDFAST_TEST_SEED=${first}: ${SCHEDULES} schedules`);
  for (let seed = first; seed < first + SCHEDULES; seed++) {
    const simulation = new Simulation(seed, mutation);
    try {
      await simulation.run();
    } catch (thrown) {
      throw new Error(`replay with HOLDFAST_TEST_SEED=${seed} HOLDFAST_TEST_ATTEMPTS=1: ${thrown}`, {
        cause: thrown,
      });
    }
    for (const name of Object.keys(totals) as (keyof typeof totals)[])
      totals[name] += simulation.counts[name];
    for (const point of simulation.visited) visited.add(point);
  }
  console.log(`${JSON.stringify(totals)}; struck at ${visited.size} named points`);
  if (SCHEDULES < 1_000) return;
  for (const count of Object.values(totals)) expect(count).toBeGreaterThan(SCHEDULES / 20);
  expect(visited.size).toBe(15);
}, 600_000);
