/** Holes in time that the ranks saw themselves (test/victims/mpi_series.c). */
import { existsSync, readFileSync } from 'node:fs';

export interface Gap {
  /** Unix time of its end. */
  readonly endMs: number;
  readonly gapMs: number;
}

export function readGaps(prefix: string, ranks: number): Gap[] {
  return Array.from({ length: ranks }, (_, rank) => `${prefix}.${rank}`)
    .filter((path) => existsSync(path))
    .flatMap((path) => readFileSync(path, 'utf8').trim().split('\n'))
    .filter(Boolean)
    .map((line) => {
      const [endMs = 0, gapMs = 0] = line.split(' ').map(Number);
      return { endMs, gapMs };
    });
}

/** The longest gap that ended in the interval, in ms; 0 when there was none. */
export function longestGap(gaps: readonly Gap[], fromMs: number, toMs: number): number {
  return Math.max(
    0,
    ...gaps.filter((gap) => gap.endMs >= fromMs && gap.endMs <= toMs).map((gap) => gap.gapMs),
  );
}
