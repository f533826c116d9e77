/** Checkpoints of different jobs that are due together begin one after the other. Pure. */

export interface Planned {
  readonly startMs: number;
  readonly durationMs: number;
}

/** Part of an interval by which a checkpoint may be late, and the most of it. */
const WINDOW_PART = 0.1;
const MAX_WINDOW_MS = 5 * 60_000;

export function staggerWindowMs(intervalMs: number): number {
  return Math.min(intervalMs * WINDOW_PART, MAX_WINDOW_MS);
}

/**
 * When to begin what is due: the moment within the window at which the fewest others are at work, the earliest of equals.
 * Only the due time and the ends of others can be such a moment.
 */
export function stagger(
  dueMs: number,
  windowMs: number,
  others: readonly Planned[],
): { startMs: number; avoided: number } {
  const near = others.filter(
    ({ startMs, durationMs }) => startMs <= dueMs + windowMs && startMs + durationMs > dueMs,
  );
  const busyAt = (ms: number) =>
    near.filter(({ startMs, durationMs }) => startMs <= ms && startMs + durationMs > ms).length;
  const ends = near
    .map(({ startMs, durationMs }) => startMs + durationMs)
    .filter((endMs) => endMs <= dueMs + windowMs)
    .sort((a, b) => a - b);
  const best = ends.reduce((chosen, ms) => (busyAt(ms) < busyAt(chosen) ? ms : chosen), dueMs);
  return { startMs: best, avoided: best === dueMs ? 0 : busyAt(dueMs) };
}
