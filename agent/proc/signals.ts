/** Signals to whole subtrees. */
import { setTimeout as delay } from 'node:timers/promises';
import { HoldfastError } from '../../core/errors';
import { isAlive, type ProcessStat } from './stat';
import { subtree } from './subtree';

const POLL_MS = 5;
const TIMEOUT_MS = 10_000;

/** A process that has ended by itself meanwhile is what the signal was for. */
export function trySignal(pid: number, signal: NodeJS.Signals | number): void {
  try {
    process.kill(pid, signal);
  } catch {
    // ESRCH
  }
}

/** Stops the tasks until no new one appears: one that forks faster than we look cannot get away. */
function stopAll(root: number): ProcessStat[] {
  for (let before = -1, tasks = subtree(root); ; before = tasks.length, tasks = subtree(root)) {
    if (tasks.length === before) return tasks;
    for (const { pid } of tasks) trySignal(pid, 'SIGSTOP');
  }
}

/** Kills a subtree and waits until it is gone. @throws INTERNAL when a task does not end */
export async function killSubtree(root: number): Promise<void> {
  const tasks = stopAll(root);
  for (const { pid } of tasks) trySignal(pid, 'SIGKILL');
  for (const { pid, startTicks } of tasks) {
    for (let waitedMs = 0; isAlive(pid, startTicks); waitedMs += POLL_MS) {
      if (waitedMs > TIMEOUT_MS)
        throw new HoldfastError('INTERNAL', `process ${pid} does not end after SIGKILL`);
      await delay(POLL_MS);
    }
  }
}
