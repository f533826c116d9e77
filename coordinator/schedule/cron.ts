/** Cron patterns in a time zone. A thin layer over cron-parser, which knows about changes of the clock. Pure. */
import { CronExpressionParser } from 'cron-parser';
import { HoldfastError } from '../../core/errors';

export interface Calendar {
  readonly cron: string;
  /** IANA name; empty: UTC. */
  readonly timeZone: string;
}

/** The first time after a moment; null: there is none (30 February). */
export function nextTime({ cron, timeZone }: Calendar, afterMs: number): number | null {
  const options = { currentDate: new Date(afterMs), tz: timeZone || 'UTC' };
  try {
    return CronExpressionParser.parse(cron, options).next().getTime();
  } catch {
    return null;
  }
}

/** @throws HoldfastError INVALID_ARGUMENT naming the pattern or the zone */
export function checkCalendar({ cron, timeZone }: Calendar): void {
  if (timeZone !== '' && !isZone(timeZone)) {
    throw new HoldfastError(
      'INVALID_ARGUMENT',
      `time_zone "${timeZone}" is not a time zone`,
      'write an IANA name like Europe/Berlin',
    );
  }
  // The parser takes fewer fields, too, and fills them up from the left.
  const isWhole = /^@[a-z]+$/.test(cron) || [5, 6].includes(cron.trim().split(/\s+/).length);
  if (isWhole && nextTime({ cron, timeZone }, 0) !== null) return;
  throw new HoldfastError(
    'INVALID_ARGUMENT',
    `cron "${cron}" is no pattern with a time to come`,
    'write minute, hour, day, month and weekday: "0 */2 * * *"',
  );
}

function isZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
