/** Whether a schedule was kept, as seen from outside. Pure. */

export interface Schedule {
  readonly firstDueMs: number;
  readonly intervalMs: number;
}

/** Ticks whose checkpoint had not begun when the next one was due. Only those count of which that was until the end. */
export function missedTicks(
  { firstDueMs, intervalMs }: Schedule,
  begunMs: readonly number[],
  endMs: number,
): number {
  let missed = 0;
  for (let dueMs = firstDueMs; dueMs + intervalMs <= endMs; dueMs += intervalMs)
    if (!begunMs.some((ms) => ms >= dueMs && ms < dueMs + intervalMs)) missed++;
  return missed;
}
