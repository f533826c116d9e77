/** Memory and disk are asked for before they are taken: a benchmark that makes the machine swap or kill measures nothing. */
import { readFileSync, statfsSync } from 'node:fs';
import { HoldfastError } from '../../core/errors';

const RESERVE_MIB = 1024;

export function availableMib(meminfo: string): number {
  const kib = /^MemAvailable:\s+(\d+) kB$/m.exec(meminfo)?.[1];
  if (kib === undefined) throw new Error('/proc/meminfo has no MemAvailable');
  return Math.floor(Number(kib) / 1024);
}

/** @throws LIMIT_EXCEEDED when less is available than needed and a reserve for everybody else. */
export function requireMemory(
  what: string,
  neededMib: number,
  meminfo = readFileSync('/proc/meminfo', 'utf8'),
) {
  const available = availableMib(meminfo);
  const needed = neededMib + RESERVE_MIB;
  if (available >= needed) return;
  throw new HoldfastError(
    'LIMIT_EXCEEDED',
    `${what} needs ${needed} MiB of memory, and ${available} MiB are available`,
    'end what else uses memory, or leave the large sizes out with --max-size MIB or --agents N',
  );
}

/** @throws LIMIT_EXCEEDED when the file system has less free than needed and a reserve. */
export function requireDisk(directory: string, what: string, neededMib: number): void {
  const { bavail, bsize } = statfsSync(directory);
  const available = Math.floor((bavail * bsize) / 2 ** 20);
  const needed = Math.ceil(neededMib) + RESERVE_MIB;
  if (available >= needed) return;
  throw new HoldfastError(
    'LIMIT_EXCEEDED',
    `${what} need up to ${needed} MiB below ${directory}, and ${available} MiB are free`,
    'make room, or leave the large sizes out with --max-size MIB',
  );
}
