/** What an agent measures: its commands as they end, and its state when it is asked for. */
import { isErrorCode } from '../../core/errors';
import { attempt } from '../../core/telemetry/attempt';
import { SHORT_SECONDS } from '../../core/telemetry/buckets';
import type { Meters } from '../../core/telemetry/meters';
import type { CommandResult } from '../../proto/gen/holdfast/v1/agent';
import type { AgentContext } from '../context';
import type { Execute } from './execute';

/** Around the execution of commands, which do not fail when a measurement does. */
export function measured(meters: Meters, execute: Execute): Execute {
  const seconds = meters.histogram(
    'holdfast_agent_command_seconds',
    'Time of a command on this node, by outcome: ok, or the code of the error.',
    SHORT_SECONDS,
    ['command', 'outcome'],
  );
  const note = resultMetrics(meters);
  return async (command, report) => {
    const end = attempt(() => seconds.startTimer({ command: command.body?.$case ?? '' }));
    const result = await execute(command, report);
    attempt(() => end?.({ outcome: outcomeOf(result) }));
    attempt(() => note(result));
    return result;
  };
}

function outcomeOf({ error }: CommandResult): string {
  if (error === undefined) return 'ok';
  return isErrorCode(error.code) ? error.code : 'INTERNAL';
}

function resultMetrics(meters: Meters): (result: CommandResult) => void {
  const hold = meters.histogram(
    'holdfast_agent_hold_seconds',
    'How long this node held the processes of a job for a checkpoint.',
    SHORT_SECONDS,
  );
  const captured = meters.counter('holdfast_agent_captured_bytes_total', 'Memory that was captured.');
  const uploaded = meters.counter(
    'holdfast_agent_uploaded_bytes_total',
    'What checkpoints added to the store from this node.',
  );
  return ({ body }) => {
    if (body?.$case === 'released') hold.observe(body.value.heldMs / 1000);
    if (body?.$case === 'captured') captured.inc(body.value.capturedBytes);
    if (body?.$case === 'uploaded') uploaded.inc(body.value.uploadedBytes);
  };
}

type Watched = Pick<AgentContext, 'lease' | 'trees' | 'lazyTrees' | 'memoryBudget' | 'uploadRate'>;

export function observeAgent(context: Watched, meters: Meters): void {
  const { lease, trees, lazyTrees, memoryBudget, uploadRate } = context;
  meters.gauge(
    'holdfast_agent_lease_remaining_seconds',
    'What is left of the lease; 0: there is none.',
    () => lease.remainingMs() / 1000,
  );
  meters.gauge('holdfast_agent_trees', 'Trees of jobs on this node.', () => trees.all().length);
  meters.gauge(
    'holdfast_agent_memory_budget_bytes',
    'Buffers of the memory engine.',
    () => memoryBudget.totalBytes,
  );
  meters.gauge(
    'holdfast_agent_memory_free_bytes',
    'What no capture has taken of the buffers.',
    () => memoryBudget.freeBytes,
  );
  meters.gauge(
    'holdfast_agent_upload_bytes_per_second',
    'How fast this node stored packs of late.',
    () => uploadRate.bytesPerS,
  );
  meters.gauge('holdfast_agent_lazy_missing_bytes', 'Memory that lazy restarts still fetch.', () =>
    lazyTrees.status().reduce((sum, { totalBytes, residentBytes }) => sum + totalBytes - residentBytes, 0),
  );
}
