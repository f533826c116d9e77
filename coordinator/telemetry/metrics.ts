/** What the coordinator measures, from the signals of what it does; nothing of its work knows of it. */
import type { Meters } from '../../core/telemetry/meters';
import type { Context } from '../context';
import { observeAudit } from './auditMetrics';
import { observeCommands } from './commandMetrics';
import { observeOperations } from './operationMetrics';
import { observeRetention } from './retentionMetrics';
import { observeState } from './stateMetrics';

export type Measured = Pick<
  Context,
  'audit' | 'clock' | 'collecting' | 'fleet' | 'gate' | 'jobs' | 'log' | 'operations' | 'queues'
>;

/** The result ends it. */
export function connectMetrics(context: Measured, meters: Meters): () => void {
  observeState(context, meters);
  const subscriptions = [
    ...observeOperations(context, meters),
    ...observeCommands(context, meters),
    ...observeRetention(context, meters),
    ...observeAudit(context, meters),
  ];
  return () => {
    for (const unsubscribe of subscriptions) unsubscribe();
  };
}
