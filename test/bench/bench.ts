/** What a benchmark is: a name, and a run that brings rows and ratios. */
import type { BenchResult } from './result';

export interface BenchInfo {
  readonly name: string;
  /** One line for --list. */
  readonly summary: string;
}

export interface BenchContext {
  readonly runs: number;
  readonly quick: boolean;
  readonly maxSizeMib: number;
  /** Percentage of the pages; null: all loads of the benchmark. */
  readonly load: string | null;
  /** Simulated agents; null: all numbers of the benchmark. */
  readonly agents: number | null;
  /** Progress, for people. */
  say(text: string): void;
  /** Called at the end, whatever it is; the last one first. */
  atEnd(undo: () => void | Promise<void>): void;
}

export interface Bench extends BenchInfo {
  /** Where generations go, for the machine's facts. */
  readonly store: string;
  run(context: BenchContext): Promise<BenchResult>;
}
