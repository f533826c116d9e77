/** Operations by phase and outcome, and what checkpoints cost. */
import { LONG_SECONDS, SHORT_SECONDS } from '../../core/telemetry/buckets';
import type { Meters } from '../../core/telemetry/meters';
import type { CheckpointSummary, Operation } from '../../proto/gen/holdfast/v1/coordinator';
import type { Context } from '../context';
import { isOver } from '../state/operations';
import { kindOf } from './kind';
import { observe } from './observe';

/** The result are the subscriptions. */
export function observeOperations(
  { clock, log, operations, queues }: Pick<Context, 'clock' | 'log' | 'operations' | 'queues'>,
  meters: Meters,
): (() => void)[] {
  const ended = meters.counter(
    'holdfast_operations_total',
    'Operations that ended, by kind and outcome: ok, or the code of the error.',
    ['kind', 'outcome'],
  );
  const phases = meters.histogram(
    'holdfast_operation_phase_seconds',
    'Time that operations spent in a phase.',
    LONG_SECONDS,
    ['kind', 'phase'],
  );
  const ticks = meters.counter(
    'holdfast_schedule_ticks_total',
    'Ticks of periodic checkpoints, by outcome: started or skipped.',
    ['outcome'],
  );
  const late = meters.histogram(
    'holdfast_schedule_tick_delay_seconds',
    'From when a periodic checkpoint was due to when it began to wait for its turn.',
    SHORT_SECONDS,
  );
  for (const outcome of ['started', 'skipped']) ticks.inc({ outcome }, 0);
  const committed = checkpointMetrics(meters);
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
    observe(queues.ticked, log, (tick) => {
      ticks.inc({ outcome: tick.outcome });
      if (tick.outcome === 'started') late.observe(tick.lateMs / 1000);
    }),
  ];
}

/** Of committed checkpoints: what was discarded cost something, too, but is seen in the outcomes. */
function checkpointMetrics(meters: Meters): (summary: CheckpointSummary) => void {
  const hold = meters.histogram(
    'holdfast_checkpoint_hold_seconds',
    'How long a checkpoint held the job: the longest of its nodes.',
    SHORT_SECONDS,
  );
  const duration = meters.histogram(
    'holdfast_checkpoint_seconds',
    'From the beginning of a checkpoint to its commit.',
    LONG_SECONDS,
  );
  const captured = meters.counter(
    'holdfast_captured_bytes_total',
    'Memory of the processes in committed checkpoints.',
  );
  const uploaded = meters.counter(
    'holdfast_uploaded_bytes_total',
    'What committed checkpoints added to the store.',
  );
  return ({ heldMs, durationMs, capturedBytes, uploadedBytes }) => {
    hold.observe(heldMs / 1000);
    duration.observe(durationMs / 1000);
    captured.inc(capturedBytes);
    uploaded.inc(uploadedBytes);
  };
}
