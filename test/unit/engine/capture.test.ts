/** How a capture behaves: budget, failures, and its end at any moment. */
import { readdirSync } from 'node:fs';
import { HoldfastError } from '../../../core/errors';
import { type CaptureOptions, openLedger, type Pack, startCapture } from '../../../native';
import { captureAll, captureFrozen, MIB, OPTIONS } from './capture-all';
import { failureOf, thrownBy } from './failures';
import { buildVictim, untilState, type Victim } from './victim';

const program = buildVictim();
afterEach(() => program.endAll());
afterAll(() => program.remove());

async function stoppedBigVictim(mib: number): Promise<Victim> {
  const victim = await program.start();
  await victim.ask(`big ${mib}`, 'big');
  await victim.stop();
  return victim;
}

function open(victim: Victim, options: Partial<CaptureOptions> = {}) {
  return captureFrozen([{ pid: victim.pid, imagePid: 7 }], options);
}

async function fillBudget(capture: ReturnType<typeof open>, packs: number): Promise<Pack[]> {
  const held: Pack[] = [];
  while (held.length < packs) {
    const pack = await capture.next();
    if (!pack) throw new Error('the capture ended');
    held.push(pack);
  }
  return held;
}

test('512 MiB pass through a budget of 32 MiB, and a slow consumer does not raise it', async () => {
  const victim = await stoppedBigVictim(512);
  global.gc?.();
  const before = process.memoryUsage().rss;
  let peak = 0;
  const capture = open(victim, {
    budgetBytes: 32 * MIB,
    packBytes: 8 * MIB,
    chunkPages: 256,
    compressionLevel: 0,
  });
  let bytes = 0;
  for (let pack = await capture.next(); pack; pack = await capture.next()) {
    bytes += pack.body.length;
    // Slower than the engine: it runs into its budget before every recycle.
    await new Promise((resolve) => setTimeout(resolve, 20));
    peak = Math.max(peak, process.memoryUsage().rss);
    capture.recycle(pack.number);
  }
  capture.close();
  expect(bytes).toBeGreaterThan(512 * MIB);
  // What is left to Node itself: its heap moves by some MiB.
  expect(peak - before).toBeLessThan((32 + 16) * MIB);
}, 60_000);

test('without recycle() the capture waits, with as many packs as the budget holds', async () => {
  const victim = await stoppedBigVictim(64);
  const capture = open(victim, { budgetBytes: 26 * MIB, packBytes: 4 * MIB, compressionLevel: 0 });
  const held = await fillBudget(capture, 3);
  const waiting = capture.next();
  const winner = await Promise.race([
    waiting,
    new Promise((resolve) => setTimeout(() => resolve('waits'), 300)),
  ]);
  expect(winner).toBe('waits');
  const [first] = held;
  if (!first) throw new Error('no pack');
  capture.recycle(first.number);
  expect(await waiting).toMatchObject({ number: 4 });
  capture.close();
});

test('a budget below one pack and the working buffers is refused', async () => {
  const victim = await stoppedBigVictim(1);
  const capture = open(victim, { budgetBytes: 4 * MIB, packBytes: 4 * MIB });
  const failure = await failureOf(capture.next());
  expect(failure).toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: expect.stringContaining('4194304 bytes'),
  });
  // The remedy is true.
  const enough = Number(/at least (\d+) bytes/.exec(failure.remedy)?.[1]);
  await captureAll([{ pid: victim.pid, imagePid: 7 }], { budgetBytes: enough, packBytes: 4 * MIB });
  capture.close();
});

test.each([
  ['a pack smaller than a chunk', { packBytes: 64 * 4096 }],
  ['a chunk larger than a blob', { chunkPages: 16_385 }],
  ['no thread', { threads: 0 }],
  ['a level zstd does not have', { compressionLevel: 20 }],
  ['a fraction', { packBytes: 4.5 * MIB + 0.5 }],
])('%s is INVALID_ARGUMENT', (_, options) => {
  const failure = thrownBy(() => startCapture(openLedger(), { ...OPTIONS, ...options }));
  expect(failure.code).toBe('INVALID_ARGUMENT');
});

test('a recycled body is empty, never the next pack', async () => {
  const victim = await stoppedBigVictim(64);
  const capture = open(victim);
  const [pack] = await fillBudget(capture, 1);
  if (!pack) throw new Error('no pack');
  const { number, body } = pack;
  expect(body.toString('latin1', 0, 4)).toBe('HFPK');
  capture.recycle(number);
  expect(body.length).toBe(0);
  expect(thrownBy(() => capture.recycle(number))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  capture.close();
});

test('a process that does not exist is NOT_FOUND', async () => {
  const capture = captureFrozen([{ pid: 4_194_303, imagePid: 7 }]);
  expect(await failureOf(capture.next())).toMatchObject({
    code: 'NOT_FOUND',
    message: 'process 4194303 does not exist',
  });
  capture.close();
});

test('a page that vanishes is WRONG_STATE naming pid and address', async () => {
  const victim = await stoppedBigVictim(64);
  const capture = open(victim, { budgetBytes: 18 * MIB, compressionLevel: 0 });
  const held = await fillBudget(capture, 2);
  // The engine is out of buffers, with pages left to read: what must not happen happens.
  victim.resume();
  await victim.ask('drop', 'dropped');
  for (const pack of held) capture.recycle(pack.number);
  let failure: HoldfastError | undefined;
  while (!failure) {
    const outcome = await capture.next().catch((error: HoldfastError) => error);
    if (outcome === null) throw new Error('the capture did not notice');
    if (outcome instanceof HoldfastError) failure = outcome;
    else capture.recycle(outcome.number);
  }
  expect(failure.code).toBe('WRONG_STATE');
  expect(failure.message).toMatch(new RegExp(`page 0x30000[0-9a-f]+ of process ${victim.pid} vanished`));
  // It stays failed.
  expect(await failureOf(capture.next())).toMatchObject({ code: 'WRONG_STATE' });
  capture.close();
});

test('a zombie has no memory and is no error', async () => {
  const victim = await program.start();
  const [answer] = await victim.ask('zombie', 'child');
  const zombie = Number(answer?.split(' ')[1]);
  await untilState(zombie, 'Z');
  await victim.stop();
  const alone = await captureAll([{ pid: victim.pid, imagePid: 7 }]);
  const both = await captureAll([
    { pid: zombie, imagePid: 6 },
    { pid: victim.pid, imagePid: 7 },
  ]);
  expect(both.totals.capturedPages).toBe(alone.totals.capturedPages);
});

test('next() twice at once is WRONG_STATE for the second', async () => {
  const victim = await stoppedBigVictim(16);
  const capture = open(victim);
  const first = capture.next();
  expect(await failureOf(capture.next())).toMatchObject({ code: 'WRONG_STATE' });
  expect(await first).toMatchObject({ number: 1 });
  capture.close();
});

test('the index is WRONG_STATE before the end', async () => {
  const victim = await stoppedBigVictim(64);
  const capture = open(victim);
  expect(thrownBy(() => capture.index())).toMatchObject({ code: 'WRONG_STATE' });
  capture.close();
});

test('close() in the middle ends the wait, twice is harmless, and use after it says so', async () => {
  const victim = await stoppedBigVictim(64);
  const capture = open(victim, { budgetBytes: 26 * MIB, compressionLevel: 0 });
  const held = await fillBudget(capture, 3);
  const waiting = failureOf(capture.next());
  capture.close();
  capture.close();
  expect(await waiting).toMatchObject({ code: 'ABORTED', message: 'the capture was closed' });
  // Bodies that were not recycled stay readable: an upload may still be under way.
  for (const pack of held) expect(pack.body.toString('latin1', 0, 4)).toBe('HFPK');
  for (const pack of held) capture.recycle(pack.number);
  expect(await failureOf(capture.next())).toMatchObject({
    code: 'WRONG_STATE',
    message: 'the capture is closed',
  });
  expect(thrownBy(() => capture.index())).toMatchObject({ code: 'WRONG_STATE' });
  expect(thrownBy(() => capture.totals())).toMatchObject({ code: 'WRONG_STATE' });
});

test('close() at many moments leaves no thread behind', async () => {
  const victim = await stoppedBigVictim(64);
  const threads = () => readdirSync('/proc/self/task').length;
  const before = threads();
  for (let moment = 0; moment < 40; moment++) {
    const capture = open(victim, { threads: 3 });
    const outcome = capture.next().catch((error: HoldfastError) => error.code);
    for (let spin = performance.now() + moment / 2; performance.now() < spin; );
    if (moment % 2) await new Promise(setImmediate);
    capture.close();
    const result = await outcome;
    expect(result === 'ABORTED' || typeof result === 'object').toBe(true);
  }
  expect(threads()).toBe(before);
});
