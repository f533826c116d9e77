/** Operations by phase and outcome, and what checkpoints cost. */
import { Counter, Histogram, type Registry } from 'prom-client';
import { LONG_SECONDS, SHORT_SECONDS } from '../../core/telemetry/buckets';
import type { CheckpointSummary, Operation } from '../../proto/gen/holdfast/v1/coordinator';
import type { Context } from '../context';
import { isOver } from '../state/operations';
import { kindOf } from './kind';
import { observe } from './observe';

/** The result are the subscriptions. */
export function observeOperations(
  { clock, log, operations, queues }: Pick<Context, 'clock' | 'log' | 'operations' | 'queues'>,
  registry: Registry,
): (() => void)[] {
  const registers = [registry];
  const ended = new Counter({
    name: 'holdfast_operations_total',
    help: 'Operations that ended, by kind and outcome: ok, or the code of the error.',
    labelNames: ['kind', 'outcome'],
    registers,
  });
  const phases = new Histogram({
    name: 'holdfast_operation_phase_seconds',
    help: 'Time that operations spent in a phase.',
    labelNames: ['kind', 'phase'],
    buckets: LONG_SECONDS,
    registers,
  });
  const ticks = new Counter({
    name: 'holdfast_schedule_ticks_total',
    help: 'Ticks of periodic checkpoints, by outcome: started or skipped.',
    labelNames: ['outcome'],
    registers,
  });
  for (const outcome of ['started', 'skipped']) ticks.inc({ outcome }, 0);
  const committed = checkpointMetrics(registry);
  const entered = new Map<string, { phase: string; sinceMs: number }>();

  const follow = (operation: Operation, over: boolean) => {
    const kind = kindOf(operation);
    const nowMs = clock.monotonicMs();
    const before = entered.get(operation.id);
    if (before !== undefined && before.phase !== operation.phase) {
      phases.observe({ kind, phase: before.phase }, (nowMs - before.sinceMs) / 1000);
    }
    if (before?.phase !== operation.phase) {
      entered.set(operation.id, { phase: operation.phase, sinceMs: nowMs });
    }
    if (!over) return;
    entered.delete(operation.id);
    ended.inc({ kind, outcome: operation.error?.code ?? 'ok' });
    if (operation.summary !== undefined) committed(operation.summary);
  };
  return [
    observe(operations.changed, log, (record) => follow(record.operation, isOver(record))),
    observe(queues.ticked, log, (outcome) => ticks.inc({ outcome })),
  ];
}

/** Of committed checkpoints: what was discarded cost something, too, but is seen in the outcomes. */
function checkpointMetrics(registry: Registry): (summary: CheckpointSummary) => void {
  const registers = [registry];
  const hold = new Histogram({
    name: 'holdfast_checkpoint_hold_seconds',
    help: 'How long a checkpoint held the job: the longest of its nodes.',
    buckets: SHORT_SECONDS,
    registers,
  });
  const duration = new Histogram({
    name: 'holdfast_checkpoint_seconds',
    help: 'From the beginning of a checkpoint to its commit.',
    buckets: LONG_SECONDS,
    registers,
  });
  const captured = new Counter({
    name: 'holdfast_captured_bytes_total',
    help: 'Memory of the processes in committed checkpoints.',
    registers,
  });
  const uploaded = new Counter({
    name: 'holdfast_uploaded_bytes_total',
    help: 'What committed checkpoints added to the store.',
    registers,
  });
  return ({ heldMs, durationMs, capturedBytes, uploadedBytes }) => {
    hold.observe(heldMs / 1000);
    duration.observe(durationMs / 1000);
    captured.inc(capturedBytes);
    uploaded.inc(uploadedBytes);
  };
}
