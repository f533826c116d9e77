/** A ledger that knows nothing of a tree's pages, but learns what is stored (M7): equal contents are named, all pages read. */
import { learnContents, startFill } from '../../../native';
import { type Generation, Generations, MIB } from './capture-all';
import { thrownBy } from './failures';
import { sealIndex } from './format';
import { buildVictim, type Victim } from './victim';

const program = buildVictim();
afterEach(() => program.endAll());
afterAll(() => program.remove());

const PAGES_PER_MIB = MIB / 4096;
/** Stack, heap and the C library's data, as any process has them. */
const OTHER_BYTES = MIB;

function capture(generations: Generations, victim: Victim, rounds = 1): Promise<Generation> {
  return generations.capture(
    () => [{ pid: victim.pid, imagePid: 7 }],
    rounds,
    async () => {
      await victim.stop();
      return { snapshots: [], release: async () => victim.resume() };
    },
  );
}

/** A ledger that is collected ends its tracking, and the next look finds everything written. */
const earlier: Generations[] = [];
afterEach(() => {
  earlier.splice(0);
});

/** What another agent, or this one after its restart, knows from the store. */
function learned(from: Generations, captured: Generation, options = {}): Generations {
  earlier.push(from);
  const generations = new Generations('probe', options);
  const numbers = captured.packs.map((known) => {
    const body = from.stored.get(known) ?? Buffer.alloc(0);
    const number = generations.ledger.addPack(body.length);
    generations.stored.set(number, body);
    return number;
  });
  expect(learnContents(generations.ledger, captured.index, numbers)).toBeGreaterThan(0);
  return generations;
}

async function victimWith(...commands: readonly [string, string][]): Promise<Victim> {
  const victim = await program.start();
  for (const [command, answer] of commands) await victim.ask(command, answer);
  return victim;
}

test('unchanged memory is read, and named where it is stored', async () => {
  const victim = await victimWith(['big 32', 'big']);
  const first = new Generations();
  const before = await capture(first, victim);
  const next = learned(first, before);
  next.ledger.rollback(); // of an attempt that was given up before it began to capture
  const after = await capture(next, victim);
  expect(after.totals.readPages).toBeGreaterThan(32 * PAGES_PER_MIB);
  expect(after.totals.reusedPages).toBeGreaterThan(32 * PAGES_PER_MIB);
  expect(after.totals.storedBytes).toBeLessThan(OTHER_BYTES / 4);
  // Of what it names, all is counted.
  const named = after.packs.map((number) => next.stored.get(number)?.length ?? 0);
  const { storedBytes, liveBytes } = next.ledger.use();
  expect(storedBytes).toBe(named.reduce((sum, bytes) => sum + bytes, 0));
  expect(liveBytes).toBeGreaterThan(0.9 * storedBytes);
  // What was learned stays known after a failed attempt, and after a commit as far as it is named.
  next.ledger.rollback();
  expect((await capture(next, victim)).totals.storedBytes).toBeLessThan(OTHER_BYTES / 4);
  next.ledger.commit();
  expect((await capture(next, victim)).totals.storedBytes).toBeLessThan(OTHER_BYTES / 4);
});

test('memory that was restored, where zeros are absent now, is cut as before', async () => {
  const victim = await victimWith(['fill', 'filled'], ['big 16', 'big']);
  const sums = await victim.sums();
  const first = new Generations();
  const before = await capture(first, victim);
  const twin = await victimWith(['big 16', 'big']);
  await twin.stop();
  const fill = startFill(before.index, [{ imagePid: 7, pid: twin.pid }], { threads: 1 });
  for (const [number, body] of first.packsOf(before)) await fill.writePack(number, body);
  fill.close();
  twin.resume();
  const next = learned(first, before);
  const after = await capture(next, twin);
  expect(after.totals.storedBytes).toBeLessThan(OTHER_BYTES / 4);
  expect(await twin.sums()).toEqual(sums);
  // The generation that names learned packs can be restored like any other.
  const third = await victimWith(['big 16', 'big']);
  await third.stop();
  const again = startFill(after.index, [{ imagePid: 7, pid: third.pid }], { threads: 1 });
  for (const [number, body] of next.packsOf(after)) await again.writePack(number, body);
  expect(again.writtenPages()).toBe(again.totalPages());
  again.close();
  third.resume();
  expect(await third.sums()).toEqual(sums);
});

test('changes in between cost the windows that they are in', async () => {
  const victim = await victimWith(['big 64', 'big']);
  const first = new Generations('probe', { chunkPages: 256, budgetBytes: 32 * MIB });
  await capture(first, victim);
  first.ledger.commit();
  await victim.ask('drop', 'dropped');
  await victim.ask('big 66', 'big');
  const before = await capture(first, victim);
  const after = await capture(learned(first, before, { chunkPages: 256, budgetBytes: 32 * MIB }), victim);
  expect(after.totals.storedBytes).toBeLessThan(OTHER_BYTES);
});

test('contents of several packs and of other trees', async () => {
  const one = await victimWith(['big 16', 'big']);
  const other = await victimWith(['big 8', 'big'], ['same 4', 'same']);
  const trees = new Generations();
  const before = await capture(trees, one);
  const after = await capture(learned(trees, before), other);
  expect(after.totals.reusedPages).toBeGreaterThan(7 * PAGES_PER_MIB);
  expect(after.totals.storedBytes).toBeLessThan(4 * OTHER_BYTES);
});

test.each([
  ['touch', 'everywhere'],
  ['edge', 'in most chunks of every pack'],
])('at least 60 %% of the kept bytes stay in use: learned packs, and %s of pages %s', async (command) => {
  const options = { compressionLevel: 0, packBytes: MIB, chunkPages: 32 };
  const victim = await victimWith(['big 16', 'big']);
  let generations = new Generations('probe', options);
  let last = await capture(generations, victim);
  const shares: number[] = [];
  for (let turn = 0; turn < 18; turn++) {
    // The agent is restarted now and then.
    if (turn % 6 === 5) generations = learned(generations, last, options);
    else generations.ledger.commit();
    await victim.ask(`${command} ${turn}`, 'touched');
    last = await capture(generations, victim, 2);
    const { storedBytes, liveBytes } = generations.ledger.use();
    shares.push(liveBytes / storedBytes);
  }
  expect(Math.min(...shares)).toBeGreaterThanOrEqual(0.6);
});

test('an index that does not check tells nothing, and the capture stores all', async () => {
  const victim = await victimWith(['big 4', 'big']);
  const first = new Generations('probe', { compressionLevel: 0 });
  const before = await capture(first, victim);
  const next = new Generations('probe', { compressionLevel: 0 });
  const sizes = before.packs.map((number) => first.stored.get(number)?.length ?? 0);
  const numbers = sizes.map((size) => next.ledger.addPack(size));
  const short = sizes.map(() => next.ledger.addPack(4096));
  const flipped = Buffer.from(before.index);
  flipped.writeUInt8(flipped.readUInt8(200) ^ 1, 200);
  const corrupt = (index: Buffer, packs: readonly number[]) => {
    expect(thrownBy(() => learnContents(next.ledger, index, packs))).toMatchObject({ code: 'CORRUPT' });
  };
  corrupt(flipped, numbers);
  corrupt(Buffer.alloc(0), numbers);
  corrupt(sealIndex(Buffer.from('M')), numbers);
  corrupt(before.index, []);
  corrupt(before.index, short);
  expect(thrownBy(() => learnContents(next.ledger, before.index, [999]))).toMatchObject({
    code: 'INVALID_ARGUMENT',
  });
  // Packs that are not to be relied on.
  const none = before.packs.map(() => 0);
  expect(learnContents(next.ledger, before.index, none)).toBe(0);
  const after = await capture(next, victim);
  expect(after.totals.storedBytes).toBeGreaterThan(4 * MIB);
  expect(after.packs.every((number) => number > Math.max(...numbers, ...short))).toBe(true);
  expect(thrownBy(() => learnContents(next.ledger, before.index, numbers))).toMatchObject({
    code: 'WRONG_STATE',
  });
});

test('contents of which an index names only a part are not taken for others', async () => {
  const victim = await victimWith(['big 8', 'big']);
  const first = new Generations();
  await capture(first, victim);
  first.ledger.commit();
  await victim.ask('touch 3', 'touched');
  const before = await capture(first, victim);
  const after = await capture(learned(first, before), victim);
  expect(after.totals.capturedPages - after.totals.reusedPages).toBeGreaterThan(7 * PAGES_PER_MIB);
});
