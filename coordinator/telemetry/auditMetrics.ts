/** What the audit log holds, and what it lacks. */
import type { Meters } from '../../core/telemetry/meters';
import type { Context } from '../context';
import { observe } from './observe';

/** The result are the subscriptions. */
export function observeAudit({ audit, log }: Pick<Context, 'audit' | 'log'>, meters: Meters): (() => void)[] {
  const entries = meters.counter(
    'holdfast_audit_entries_total',
    'Entries of the audit log by outcome: ok, or the code of the error.',
    ['outcome'],
  );
  const lost = meters.counter('holdfast_audit_lost_total', 'Entries that could not be written.');
  return [
    observe(audit.recorded, log, ({ outcome }) => entries.inc({ outcome })),
    observe(audit.lost, log, (count) => lost.inc(count)),
  ];
}
