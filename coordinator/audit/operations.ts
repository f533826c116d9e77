/** Ends of operations, for the audit log: the call that asked for one was answered when it began. */
import type { Operation } from '../../proto/gen/holdfast/v1/coordinator';
import type { Context } from '../context';
import { isOver } from '../state/operations';
import { kindOf } from '../telemetry/kind';
import { observe } from '../telemetry/observe';
import type { AuditEntry } from './entry';

/** Nobody's: an entry of the call, with the same operation, says who asked; there is none for what the site does by itself. */
function endOf(operation: Operation, nowMs: number): AuditEntry {
  const { id, job, generation, ckptId, error } = operation;
  return {
    time: new Date(nowMs).toISOString(),
    ...{ call: 'operation', outcome: (error?.code ?? 'ok') as AuditEntry['outcome'], uid: null },
    ...{ operation: id, kind: kindOf(operation), job, generation, ckptId },
  };
}

/** The result ends it. */
export function auditOperations({ audit, clock, log, operations }: Context): () => void {
  return observe(operations.changed, log, (record) => {
    if (isOver(record)) audit.record(endOf(record.operation, clock.wallMs()));
  });
}
