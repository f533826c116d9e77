/**
 * Control groups of a simulated node (see boot.sh, and slurm/prepare.sh for those of version 1): a real machine's would be gone
 * with its power.
 */
import { existsSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const TRIES = 100;
const TRY_MS = 10;

/** Removes the groups of a node whose processes are all gone; their last ones may still be on their way out. */
export async function removeGroups(initPid: number): Promise<void> {
  for (const root of hierarchies()) {
    const own = join(root, `holdfast-sim-${initPid}`);
    for (let left = TRIES; existsSync(own); left--) {
      try {
        removeTree(own);
      } catch (error) {
        if (left === 0) throw error;
        await delay(TRY_MS);
      }
    }
  }
}

/** Removes what nodes of killed runs left; a group whose processes cannot be ended yet is left for the next time. */
export function removeLeftGroups(): void {
  for (const root of hierarchies()) {
    for (const name of readdirSync(root)) {
      const pid = /^holdfast-sim-(\d+)$/.exec(name)?.[1];
      if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
      try {
        removeTree(join(root, name));
      } catch {
        // Its processes are on their way out, or another run removes it at this moment.
      }
    }
  }
}

/** Where the hierarchies are mounted, of both versions. */
function hierarchies(): string[] {
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .flatMap((line) => /^\S+ (\S+) cgroup2? /.exec(line)?.[1] ?? []);
}

/** Groups hold files that only the kernel removes, with their directory. */
function removeTree(group: string): void {
  for (const entry of readdirSync(group, { withFileTypes: true })) {
    if (entry.isDirectory()) removeTree(join(group, entry.name));
  }
  rmdirSync(group);
}
