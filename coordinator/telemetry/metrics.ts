/** What the coordinator measures, from the signals of what it does; nothing of its work knows of it. */
import type { Registry } from 'prom-client';
import type { Context } from '../context';
import { observeAudit } from './auditMetrics';
import { observeCommands } from './commandMetrics';
import { observeOperations } from './operationMetrics';
import { observeState } from './stateMetrics';

export type Measured = Pick<Context, 'audit' | 'clock' | 'log' | 'fleet' | 'jobs' | 'operations' | 'queues'>;

/** The result ends it. */
export function connectMetrics(context: Measured, registry: Registry): () => void {
  observeState(context, registry);
  const subscriptions = [
    ...observeOperations(context, registry),
    ...observeCommands(context, registry),
    ...observeAudit(context, registry),
  ];
  return () => {
    for (const unsubscribe of subscriptions) unsubscribe();
  };
}
