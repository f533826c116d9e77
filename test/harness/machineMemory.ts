/** What a test takes of this machine's memory for its time: huge pages, and a swap file. Each says why not, if not. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Taken {
  /** Null: it is there. */
  readonly whyNot: string | null;
  /** Leaves the machine as it was. */
  giveBack(): Promise<void>;
}

const notTaken = (whyNot: string): Taken => ({ whyNot, giveBack: async () => {} });

/** Undone by a process that waits for the end of its input: however ours ends, that one is there. */
function undoneBy(script: string, ...values: string[]): Taken {
  const undo = spawn('sh', ['-c', `cat; ${script}`, 'sh', ...values], {
    stdio: ['pipe', 'ignore', 'inherit'],
    detached: true,
  });
  undo.unref();
  return {
    whyNot: null,
    async giveBack() {
      undo.stdin?.end();
      if (undo.exitCode === null) await once(undo, 'exit');
    },
  };
}

const HUGE_PAGES = '/proc/sys/vm/nr_hugepages';
/** Other tests take and give back at the same time. Says by how much the number has changed. */
const CHANGE = `flock ${HUGE_PAGES} sh -c 'n=$(cat ${HUGE_PAGES}); echo $((n + $0)) > ${HUGE_PAGES}; echo $(($(cat ${HUGE_PAGES}) - n))' "$1"`;

/** @param count in addition to those that there are */
export function takeHugePages(count: number): Taken {
  try {
    const granted = Number(execFileSync('sh', ['-ec', CHANGE, 'sh', String(count)], { stdio: 'pipe' }));
    const taken = undoneBy(CHANGE, String(-granted));
    return {
      ...taken,
      whyNot: granted === count ? null : `huge pages: the kernel gave ${granted} of ${count}`,
    };
  } catch (error) {
    return notTaken(`huge pages: ${(error as Error).message.trim()}`);
  }
}

export function takeSwap(mib: number): Taken {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-swap-'));
  const file = join(directory, 'swap');
  try {
    writeFileSync(file, Buffer.alloc(mib * 2 ** 20), { mode: 0o600 });
    execFileSync('mkswap', [file], { stdio: 'pipe' });
    execFileSync('swapon', [file], { stdio: 'pipe' });
  } catch (error) {
    rmSync(directory, { recursive: true });
    return notTaken(`swap: ${(error as Error).message.trim()}`);
  }
  return undoneBy('swapoff "$1" && rm -r "$2"', file, directory);
}
