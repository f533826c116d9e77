/** Everybody who can die at a gate does (invariant F1); the table is in docs/native-programs.md. */
import { setTimeout as delay } from 'node:timers/promises';
import { checkpoint, dump, fill, type Held, type Image, restore, tree } from './gate';
import { ADOPTING, Outside, RECOVERY_MS, ROOT, Steady } from './steady';
import { isThere, nftTables, readProc, TestCell, until, Workshop } from './support';

const workshop = new Workshop();
afterAll(() => workshop.end());

/** The helper that CRIU waits for at the gate. */
const helperOf = (criuPid: number): number =>
  Number((readProc(criuPid, `task/${criuPid}/children`) ?? '').trim().split(' ').at(-1));

interface Death {
  readonly name: string;
  readonly leaseMs?: number;
  readonly cause: (held: Held) => void;
  /** Outcome that the watchdog reports; null when it cannot. */
  readonly outcome: string | null;
}

const DEATHS: readonly Death[] = [
  { name: 'the agent fails it', cause: ({ hold }) => hold.say('fail because'), outcome: 'failed' },
  { name: 'the lease runs out', leaseMs: 3000, cause: () => {}, outcome: 'lease' },
  {
    name: "the agent's pipe closes",
    cause: ({ hold }) => hold.running.child.stdin?.end(),
    outcome: 'agent-lost',
  },
  { name: 'the watchdog is killed', cause: ({ hold }) => hold.running.child.kill('SIGKILL'), outcome: null },
  {
    name: 'the helper is killed',
    cause: ({ criuPid }) => process.kill(helperOf(criuPid), 'SIGKILL'),
    outcome: 'failed',
  },
  { name: 'CRIU is killed', cause: ({ criuPid }) => process.kill(criuPid, 'SIGKILL'), outcome: 'killed' },
  {
    name: 'watchdog and CRIU are killed together',
    cause: ({ hold, criuPid }) => {
      // Stopped first, so that the watchdog cannot act between the two.
      process.kill(hold.running.pid, 'SIGSTOP');
      process.kill(criuPid, 'SIGKILL');
      process.kill(hold.running.pid, 'SIGKILL');
    },
    outcome: null,
  },
];

describe('at the gate of a dump the tree runs on, its connection works and no lock is left when', () => {
  test.each(DEATHS)('$name', async ({ leaseMs, cause, outcome }) => {
    const steady = await Steady.start(workshop);
    const held = await dump(workshop, steady.cell, { leaseMs });
    expect(nftTables()).toContain(held.table);
    const frozen = steady.beats();
    await delay(50);
    expect(steady.beats()).toBe(frozen);
    cause(held);
    await steady.goesOn((leaseMs ?? 0) + RECOVERY_MS);
    if (outcome !== null) {
      expect(await held.hold.expect('exit')).toMatchObject({ outcome });
      expect(await held.hold.running.ended).toEqual({ code: 1, signal: null });
    }
    await until(() => !nftTables().includes(held.table));
    steady.stop();
    expect(await steady.cell.exit()).toEqual({ code: 42 });
  });
});

describe('at the gate of a restore nothing runs, though all memory is there, when', () => {
  let steady: Steady;
  let image: Image;

  beforeAll(async () => {
    steady = await Steady.start(workshop);
    image = await checkpoint(workshop, steady);
  });

  test.each(DEATHS)('$name', async ({ leaseMs, cause, outcome }) => {
    const cell = await TestCell.adopt(workshop, ROOT, ADOPTING);
    const held = await restore(workshop, cell, image.images, { leaseMs });
    fill(cell, image);
    const pids = tree(cell).map(([, pid]) => pid);
    expect(pids).toHaveLength(2);
    cause(held);
    if (outcome !== null) {
      expect(await held.hold.expect('exit')).toMatchObject({ outcome });
      expect(await held.hold.running.ended).toEqual({ code: 1, signal: null });
    }
    await until(() => pids.every((pid) => !isThere(pid)));
    expect(steady.beats()).toBe(image.beats);
    if (outcome !== null) expect(await cell.exit()).toEqual({ signal: 9 });
  });

  test('the agent fails it and no preload stands between CRIU and its mistake', async () => {
    const cell = await TestCell.adopt(workshop, ROOT, ADOPTING);
    const { hold } = await restore(workshop, cell, image.images, { preload: false });
    fill(cell, image);
    hold.say('fail');
    expect(await hold.expect('exit')).toMatchObject({ outcome: 'failed' });
    expect(await cell.exit()).toEqual({ signal: 9 });
    expect(steady.beats()).toBe(image.beats);
  });
});

test('a tree that nobody put into a cell runs on with its connection when CRIU is killed', async () => {
  const outside = await Outside.start(workshop);
  const held = await dump(workshop, null, { root: outside.pid });
  process.kill(held.criuPid, 'SIGKILL');
  expect(await held.hold.expect('exit')).toMatchObject({ signal: 9, outcome: 'killed' });
  expect(nftTables()).not.toContain(held.table);
  await outside.goesOn();
  expect(await outside.ended()).toBe(42);
});
