/** Waits for a checkpoint or a restart to end. */

import { HoldfastError, isErrorCode } from '../../core/errors';
import type { Operation } from '../../proto/gen/holdfast/v1/coordinator';
import type { Connection } from '../client/connection';
import { observe } from '../client/observe';
import type { ProgressDisplay } from '../output/progress';
import { note } from '../output/terminal';

/** RUNNING is the good end of a restart, DONE that of a checkpoint. */
const LAST_PHASES = ['DONE', 'RUNNING', 'ABORTED'];

async function fetchOperation(connection: Connection, id: string): Promise<Operation> {
  const { operation } = await connection.call('getOperation', { operation: id });
  if (!operation) throw new HoldfastError('NOT_FOUND', `operation ${id} does not exist`);
  return operation;
}

/** The failure an ended operation stands for, or null when it succeeded. */
export function failureOf(operation: Operation): HoldfastError | null {
  if (operation.phase === 'DONE' || operation.phase === 'RUNNING') return null;
  const { error, id, job } = operation;
  if (!error) return new HoldfastError('ABORTED', `operation ${id} on job ${job} was aborted`);
  const code = isErrorCode(error.code) ? error.code : 'INTERNAL';
  return new HoldfastError(code, error.message, error.remedy);
}

/** What the preflight found and why nodes were chosen, one line each; in JSON both are part of the operation. */
export function noteFindings(operation: Operation): void {
  for (const decision of operation.decisions) note(decision);
  for (const { node, pid, fd, object, problem, remedy } of operation.findings) {
    const where = [node, pid > 0 && `pid ${pid}`, pid > 0 && fd >= 0 && `fd ${fd}`, object];
    note(`${where.filter(Boolean).join(' ')}: ${problem}${remedy && ` (${remedy})`}`);
  }
}

/** Resolves with the ended operation, successful or not; only a lost coordinator's ignorance of it throws. */
export async function awaitOperation(
  connection: Connection,
  id: string,
  display: ProgressDisplay,
): Promise<Operation> {
  try {
    return await observe<Operation>({
      open: (after, signal) => connection.watch({ $case: 'operation', value: id }, after, signal),
      get: () => fetchOperation(connection, id),
      pick: (event) => (event.$case === 'operation' && event.value.id === id ? event.value : undefined),
      ended: (operation) => LAST_PHASES.includes(operation.phase) || operation.endedMs > 0,
      onEvent: (event) => {
        if (event.$case === 'operation' && event.value.id === id) display.operation(event.value);
        if (event.$case === 'progress' && event.value.operation === id) display.progress(event.value);
      },
      onValue: (operation) => display.operation(operation),
      onLost: (error) => note(`connection lost (${error.message}); trying again`),
    });
  } finally {
    display.stop();
  }
}
