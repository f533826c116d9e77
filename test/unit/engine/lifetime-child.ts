/**
 * Run by lifetime.test.ts in a Node of its own with --expose-gc: what the engine does when JavaScript forgets its
 * objects or ends before them. Arguments: what to do, pid of a stopped process.
 */
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { type Capture, openLedger, startCapture } from '../../../native';

const MIB = 2 ** 20;

/** What each action prints, as JSON. */
export const EXPECTED = {
  abandon: { threadsLeft: 0, magics: ['HFPK', 'HFPK', 'HFPK', 'HFPK'] },
  exit: { exits: true },
  worker: { terminated: true },
};

function capture(pid: number, budgetBytes = 16 * MIB): Capture {
  const begun = startCapture(openLedger(), {
    budgetBytes,
    packBytes: 4 * MIB,
    chunkPages: 64,
    threads: 2,
    compressionLevel: 0,
  });
  begun
    .freeze([{ pid, imagePid: 7 }], [])
    .then(() => begun.readHeld())
    .then(() => begun.finish())
    .catch(() => {});
  return begun;
}

const threads = (): number => readdirSync('/proc/self/task').length;

async function collectGarbage(): Promise<void> {
  for (let i = 0; i < 5; i++) {
    global.gc?.();
    await nextTurn();
  }
}

async function firstBodies(pid: number): Promise<Buffer[]> {
  const bodies: Buffer[] = [];
  for (let i = 0; i < 20; i++) {
    const abandoned = capture(pid, 160 * MIB);
    let pack = await abandoned.next();
    if (pack && i % 5 === 0) bodies.push(pack.body);
    // To its end: a step that somebody waits for holds it.
    while (pack) pack = await abandoned.next();
  }
  return bodies;
}

async function abandon(pid: number): Promise<void> {
  const before = threads();
  const bodies = await firstBodies(pid);
  await collectGarbage();
  const magics = bodies.map((body) => body.toString('latin1', 0, 4));
  console.log(JSON.stringify({ threadsLeft: threads() - before, magics }));
}

/** Leaves one capture out of buffers, and one with a caller waiting. */
async function leaveBusy(pid: number): Promise<void> {
  await capture(pid).next();
  capture(pid).next();
}

async function exit(pid: number): Promise<void> {
  await leaveBusy(pid);
  console.log(JSON.stringify({ exits: true }));
  process.exit(0);
}

async function worker(pid: number): Promise<void> {
  const busy = new Worker(__filename, { workerData: { busyWithPid: pid } });
  await once(busy, 'message');
  await busy.terminate();
  console.log(JSON.stringify({ terminated: true }));
}

const ACTIONS: Record<string, (pid: number) => Promise<void>> = { abandon, exit, worker };

if (isMainThread && process.argv[1] === __filename) {
  const [action = '', pid] = process.argv.slice(2);
  ACTIONS[action]?.(Number(pid));
} else if (workerData?.busyWithPid) {
  leaveBusy(workerData.busyWithPid).then(() => parentPort?.postMessage('busy'));
}
