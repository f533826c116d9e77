/** What a random run has shown. */
import type { HoldMode } from './kept';
import { isHuge } from './proc-maps';
import type { Filled } from './restore';
import type { Shadow } from './shadow';

class ModeCounts {
  /** Committed generations by their rounds of pre-copy. */
  readonly byRounds = [0, 0, 0, 0];
  comparedPages = 0;
  restored = 0;
  restoredLazily = 0;
  restoredPages = 0;
  servedChunks = 0;
}

export class RunCounts {
  attempts = 0;
  readonly methods = new Set<string>();
  /** Pages of what is rare, met at holds. */
  readonly met = { shared: 0, huge: 0, swapped: 0 };
  private readonly modes: Record<HoldMode, ModeCounts> = {
    'copy at the hold': new ModeCounts(),
    snapshot: new ModeCounts(),
  };

  of(mode: HoldMode): ModeCounts {
    return this.modes[mode];
  }

  committed(mode: HoldMode, rounds: number): void {
    const { byRounds } = this.of(mode);
    byRounds[rounds] = (byRounds[rounds] ?? 0) + 1;
  }

  restored(mode: HoldMode, isLazy: boolean, { pages, servedChunks }: Filled): void {
    const counts = this.of(mode);
    counts.restoredPages += pages;
    counts.servedChunks += servedChunks;
    if (isLazy) counts.restoredLazily++;
    else counts.restored++;
  }

  saw({ processes, segments }: Shadow): void {
    for (const { isLeftOut, contents } of segments) if (isLeftOut) this.met.shared += contents.length / 4096;
    for (const map of [...processes.values()].flat()) {
      if (isHuge(map)) this.met.huge += map.pages.size;
      this.met.swapped += map.swapped.size;
    }
  }

  /** A line for each mode. */
  lines(method: string): string[] {
    return Object.entries(this.modes).map(([mode, counts]) => {
      const { byRounds, comparedPages, restored, restoredLazily, restoredPages, servedChunks } = counts;
      const generations = byRounds.reduce((sum, one) => sum + one, 0);
      return (
        `${method}, ${mode}: ${generations} generations (${byRounds.join('/')} with 0/1/2/3 rounds), ` +
        `${comparedPages} pages compared; ${restored} restored, ${restoredLazily} lazily (${servedChunks} chunks waited for), ${restoredPages} pages`
      );
    });
  }
}
