/** The hours, days and weeks that generations are counted by: in UTC, which has no hour twice. Pure. */
const DAY_MS = 86_400_000;

const textOf = (timeMs: number, length: number): string => new Date(timeMs).toISOString().slice(0, length);

/** ISO 8601: weeks begin on Monday and belong to the year that has their Thursday. */
function weekOf(timeMs: number): string {
  const midnightMs = Math.floor(timeMs / DAY_MS) * DAY_MS;
  const sinceMonday = (new Date(midnightMs).getUTCDay() + 6) % 7;
  const thursday = new Date(midnightMs + (3 - sinceMonday) * DAY_MS);
  const dayOfYear = (thursday.getTime() - Date.UTC(thursday.getUTCFullYear(), 0, 1)) / DAY_MS;
  return `${thursday.getUTCFullYear()}-W${String(Math.floor(dayOfYear / 7) + 1).padStart(2, '0')}`;
}

export const BUCKETS = [
  { rule: 'hourly', field: 'keepHourly', nameOf: (ms: number) => `${textOf(ms, 13)}h` },
  { rule: 'daily', field: 'keepDaily', nameOf: (ms: number) => textOf(ms, 10) },
  { rule: 'weekly', field: 'keepWeekly', nameOf: weekOf },
] as const;
