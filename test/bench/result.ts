/** What a benchmark hands over, and its shape as JSON. Pure. */
import type { Machine } from './machine';
import { rounded } from './statistics';

export type Row = Readonly<Record<string, string | number | readonly number[]>>;

export interface BenchResult {
  readonly rows: readonly Row[];
  /** Only what was measured is there: a ratio without its figures is left out. */
  readonly ratios: Readonly<Record<string, number>>;
}

export interface BenchReport extends BenchResult {
  readonly bench: string;
  readonly machine: Machine;
  readonly runs: number;
}

export function report(bench: string, machine: Machine, runs: number, result: BenchResult): BenchReport {
  return { bench, machine, runs, rows: result.rows, ratios: result.ratios };
}

/** The ratios whose two figures are both there and make sense. */
export function ratiosOf(
  figures: Readonly<Record<string, readonly [number | undefined, number | undefined]>>,
): Record<string, number> {
  const found: Record<string, number> = {};
  for (const [name, [figure, peer]] of Object.entries(figures)) {
    if (figure !== undefined && peer !== undefined && peer > 0) found[name] = rounded(figure / peer);
  }
  return found;
}

/** Columns in the order in which rows bring them; lists of samples are for JSON only. */
export function table(rows: readonly Row[]): string {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter(
    (name) => !rows.some((row) => Array.isArray(row[name])),
  );
  const columns = names.map((name) => {
    const cells = [name.replaceAll('_', ' '), ...rows.map((row) => String(row[name] ?? '–'))];
    const width = Math.max(...cells.map((cell) => cell.length));
    const isText = rows.some((row) => typeof row[name] === 'string');
    return cells.map((cell) => (isText ? cell.padEnd(width) : cell.padStart(width)));
  });
  const lines = Array.from({ length: rows.length + 1 }, (_, i) =>
    columns.map((cells) => cells[i]).join('  '),
  );
  return lines.map((text) => text.trimEnd()).join('\n');
}
