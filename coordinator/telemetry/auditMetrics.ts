/** What the audit log holds, and what it lacks. */
import { Counter, type Registry } from 'prom-client';
import type { Context } from '../context';
import { observe } from './observe';

/** The result are the subscriptions. */
export function observeAudit(
  { audit, log }: Pick<Context, 'audit' | 'log'>,
  registry: Registry,
): (() => void)[] {
  const registers = [registry];
  const entries = new Counter({
    name: 'holdfast_audit_entries_total',
    help: 'Entries of the audit log by outcome: ok, or the code of the error.',
    labelNames: ['outcome'],
    registers,
  });
  const lost = new Counter({
    name: 'holdfast_audit_lost_total',
    help: 'Entries that could not be written.',
    registers,
  });
  return [
    observe(audit.recorded, log, ({ outcome }) => entries.inc({ outcome })),
    observe(audit.lost, log, (count) => lost.inc(count)),
  ];
}
