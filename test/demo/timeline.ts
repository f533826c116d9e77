/** The generations of a job as a table. */

export interface GenerationRow {
  readonly generation: number;
  /** How long the slowest node was frozen, as the watchdog measured it. */
  readonly heldMs: number;
  /** The longest hole in time that a rank saw itself. */
  readonly gapMs: number;
  readonly capturedBytes: number;
  readonly uploadedBytes: number;
  readonly durationMs: number;
  readonly nodes: readonly string[];
}

export function printTimeline(rows: readonly GenerationRow[]): void {
  console.table(
    rows.map((row) => ({
      generation: row.generation,
      nodes: row.nodes.join(' '),
      'held ms': row.heldMs,
      'gap seen ms': Math.round(row.gapMs),
      'captured MiB': Math.round(row.capturedBytes / 2 ** 20),
      'uploaded MiB': Math.round(row.uploadedBytes / 2 ** 20),
      'duration ms': row.durationMs,
    })),
  );
}
