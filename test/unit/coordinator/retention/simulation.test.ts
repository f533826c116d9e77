/**
 * Checkpoints, retention, sweeps, pins and crashes in random order, each crash between any two steps of store and Redis.
 * HOLDFAST_TEST_SEED replays a run, HOLDFAST_TEST_ATTEMPTS makes it longer.
 */
import { Simulation } from './simulation';

const SCHEDULES = Number(process.env.HOLDFAST_TEST_ATTEMPTS ?? 150);
const STEPS = 40;
const first = Number(process.env.HOLDFAST_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));

test('no live object is ever deleted, and in the end no garbage is left', async () => {
  const totals = { crashes: 0, removed: 0, deleted: 0, committed: 0 };
  for (let seed = first; seed < first + SCHEDULES; seed++) {
    const simulation = new Simulation(seed);
    try {
      for (let step = 0; step < STEPS; step++) await simulation.step();
      await simulation.settle();
    } catch (thrown) {
      throw new Error(`HOLDFAST_TEST_SEED=${seed} HOLDFAST_TEST_ATTEMPTS=1: ${thrown}`, { cause: thrown });
    }
    for (const name of ['crashes', 'removed', 'deleted', 'committed'] as const)
      totals[name] += simulation.counts[name];
  }
  console.log(`HOLDFAST_TEST_SEED=${first}: ${SCHEDULES} schedules, ${JSON.stringify(totals)}`);
  for (const count of Object.values(totals)) expect(count).toBeGreaterThan(SCHEDULES);
}, 120_000);
