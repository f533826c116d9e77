/** Trees whose memory is not complete: the marks in their cell's directory (invariant R1). */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Cell, endCell } from './cell';

/** There as long as pages are missing. */
const marker = (directory: string): string => join(directory, 'unfilled');
/** Why Holdfast ended the tree; the watchdog writes it, too. */
export const memoryLostFile = (directory: string): string => join(directory, 'memory-lost');

export function markUnfilled(directory: string): void {
  writeFileSync(marker(directory), '', { mode: 0o600 });
}

export function markFilled(directory: string): void {
  rmSync(marker(directory), { force: true });
}

/** The first reason stays. */
export function recordMemoryLost(directory: string, reason: string): void {
  const path = memoryLostFile(directory);
  if (!existsSync(path)) writeFileSync(path, reason, { mode: 0o600 });
}

/** Empty when Holdfast did not end the tree for its memory. */
export function memoryLost(directory: string): string {
  const path = memoryLostFile(directory);
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

/** Ends a tree that an earlier agent did not fill to the end, should its watchdog not have done so. */
export async function endUnfilled(cell: Cell): Promise<void> {
  if (!existsSync(marker(cell.directory))) return;
  recordMemoryLost(cell.directory, 'the agent ended while it filled the memory');
  await endCell(cell);
}
