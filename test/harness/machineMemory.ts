/** What a test takes of this machine's memory for its time: huge pages, and a swap file. Each says why not, if not. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Taken {
  /** Null: it is there. */
  readonly whyNot: string | null;
  /** Leaves the machine as it was. Safe twice. */
  giveBack(): void;
}

const notTaken = (whyNot: string): Taken => ({ whyNot, giveBack: () => {} });

function giveBackOnce(undo: () => void): Taken['giveBack'] {
  let isDone = false;
  const giveBack = () => {
    if (isDone) return;
    isDone = true;
    undo();
  };
  // Also when the test process ends early, as far as it can tell.
  process.once('exit', giveBack);
  return giveBack;
}

const HUGE_PAGES = '/proc/sys/vm/nr_hugepages';
const MIB = 2 ** 20;

/** @param count in addition to those that there are */
export function takeHugePages(count: number): Taken {
  try {
    const before = Number(readFileSync(HUGE_PAGES, 'latin1'));
    writeFileSync(HUGE_PAGES, String(before + count));
    const giveBack = giveBackOnce(() => writeFileSync(HUGE_PAGES, String(before)));
    const granted = Number(readFileSync(HUGE_PAGES, 'latin1')) - before;
    if (granted === count) return { whyNot: null, giveBack };
    giveBack();
    return notTaken(`huge pages: the kernel gave ${granted} of ${count}`);
  } catch (error) {
    return notTaken(`huge pages: ${(error as Error).message}`);
  }
}

export function takeSwap(mib: number): Taken {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-swap-'));
  const file = join(directory, 'swap');
  try {
    writeFileSync(file, Buffer.alloc(mib * MIB), { mode: 0o600 });
    execFileSync('mkswap', [file], { stdio: 'pipe' });
    execFileSync('swapon', [file], { stdio: 'pipe' });
  } catch (error) {
    rmSync(directory, { recursive: true });
    return notTaken(`swap: ${(error as Error).message.trim()}`);
  }
  const giveBack = giveBackOnce(() => {
    execFileSync('swapoff', [file]);
    rmSync(directory, { recursive: true });
  });
  return { whyNot: null, giveBack };
}
