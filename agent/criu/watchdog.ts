/** The end of a watchdog that does not end by itself, and of the CRIU under it (invariant F1): both may have been stopped. */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { deleteTable } from '../network/nft';
import { trySignal } from '../proc/signals';
import { isAlive, type ProcessStat } from '../proc/stat';
import { subtree } from '../proc/subtree';
import { readJson } from '../runDirectory';

/** A watchdog's own record (docs/native-programs.md), there as long as it lives, or when it was killed. */
const holdFile = z.object({
  hold_pid: z.number().int(),
  hold_start: z.number().int(),
  lock_table: z.string().regex(/^CRIU-[0-9a-f-]+$/),
});

/** What CRIU may take to undo what it did, when its gate has failed. */
const CRIU_END_MS = 5_000;
const POLL_MS = 20;

/** Waits until all are gone; false when the time is over. */
async function haveEnded(processes: readonly ProcessStat[], limitMs: number): Promise<boolean> {
  const alive = () => processes.some(({ pid, startTicks }) => isAlive(pid, startTicks));
  const endMs = performance.now() + limitMs;
  while (alive()) {
    if (performance.now() > endMs) return false;
    await delay(POLL_MS);
  }
  return true;
}

/** Without its watchdog CRIU's gate fails, and it lets the tree go: unless it was stopped, too, or hangs. */
async function endCriu(processes: readonly ProcessStat[]): Promise<void> {
  for (const { pid, startTicks } of processes) if (isAlive(pid, startTicks)) trySignal(pid, 'SIGCONT');
  if (await haveEnded(processes, CRIU_END_MS)) return;
  for (const { pid, startTicks } of processes) if (isAlive(pid, startTicks)) trySignal(pid, 'SIGKILL');
  await haveEnded(processes, CRIU_END_MS);
}

/**
 * Ends the watchdog whose record is in the directory, and what it has started; none is fine. What it could not remove itself is removed.
 * @param patienceMs in which it may end by itself
 * @param criu the program of a watchdog that may be gone
 */
export async function endWatchdog(
  directory: string,
  patienceMs: number,
  criu: readonly ProcessStat[] = [],
): Promise<void> {
  const found = holdFile.safeParse(readJson(join(directory, 'hold.json')));
  if (!found.success) return;
  const { hold_pid, hold_start, lock_table } = found.data;
  const [hold, ...started] = isAlive(hold_pid, hold_start) ? subtree(hold_pid) : [];
  if (hold && (await haveEnded([hold], patienceMs))) return deleteTable(lock_table);
  if (hold) trySignal(hold.pid, 'SIGKILL');
  await endCriu([...criu, ...started]);
  await deleteTable(lock_table);
}
