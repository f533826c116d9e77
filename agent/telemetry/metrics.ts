/** What an agent measures: its commands as they end, and its state when it is asked for. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { isErrorCode } from '../../core/errors';
import { attempt } from '../../core/telemetry/attempt';
import { SHORT_SECONDS } from '../../core/telemetry/buckets';
import type { CommandResult } from '../../proto/gen/holdfast/v1/agent';
import type { AgentContext } from '../context';
import type { Execute } from './execute';

/** Around the execution of commands, which do not fail when a measurement does. */
export function measured(registry: Registry, execute: Execute): Execute {
  const registers = [registry];
  const seconds = new Histogram({
    name: 'holdfast_agent_command_seconds',
    help: 'Time of a command on this node, by outcome: ok, or the code of the error.',
    labelNames: ['command', 'outcome'],
    buckets: SHORT_SECONDS,
    registers,
  });
  const note = resultMetrics(registry);
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

function resultMetrics(registry: Registry): (result: CommandResult) => void {
  const registers = [registry];
  const hold = new Histogram({
    name: 'holdfast_agent_hold_seconds',
    help: 'How long this node held the processes of a job for a checkpoint.',
    buckets: SHORT_SECONDS,
    registers,
  });
  const captured = new Counter({
    name: 'holdfast_agent_captured_bytes_total',
    help: 'Memory that was captured.',
    registers,
  });
  const uploaded = new Counter({
    name: 'holdfast_agent_uploaded_bytes_total',
    help: 'What checkpoints added to the store from this node.',
    registers,
  });
  return ({ body }) => {
    if (body?.$case === 'released') hold.observe(body.value.heldMs / 1000);
    if (body?.$case === 'captured') captured.inc(body.value.capturedBytes);
    if (body?.$case === 'uploaded') uploaded.inc(body.value.uploadedBytes);
  };
}

type Watched = Pick<AgentContext, 'lease' | 'trees' | 'lazyTrees' | 'memoryBudget' | 'uploadRate'>;

export function observeAgent(context: Watched, registry: Registry): void {
  const { lease, trees, lazyTrees, memoryBudget, uploadRate } = context;
  gauge(
    registry,
    'holdfast_agent_lease_remaining_seconds',
    'What is left of the lease; 0: there is none.',
    () => lease.remainingMs() / 1000,
  );
  gauge(registry, 'holdfast_agent_trees', 'Trees of jobs on this node.', () => trees.all().length);
  gauge(
    registry,
    'holdfast_agent_memory_budget_bytes',
    'Buffers of the memory engine.',
    () => memoryBudget.totalBytes,
  );
  gauge(
    registry,
    'holdfast_agent_memory_free_bytes',
    'What no capture has taken of the buffers.',
    () => memoryBudget.freeBytes,
  );
  gauge(
    registry,
    'holdfast_agent_upload_bytes_per_second',
    'How fast this node stored packs of late.',
    () => uploadRate.bytesPerS,
  );
  gauge(registry, 'holdfast_agent_lazy_missing_bytes', 'Memory that lazy restarts still fetch.', () =>
    lazyTrees.status().reduce((sum, { totalBytes, residentBytes }) => sum + totalBytes - residentBytes, 0),
  );
}

function gauge(registry: Registry, name: string, help: string, value: () => number): void {
  new Gauge({
    ...{ name, help },
    registers: [registry],
    collect() {
      this.set(value());
    },
  });
}
