/** How many of what there are, read when they are asked for. */
import type { Meters } from '../../core/telemetry/meters';
import { JobState } from '../../proto/gen/holdfast/v1/coordinator';
import type { Context } from '../context';
import { MEMBER_STATES } from '../sessions/member';
import { kindOf } from './kind';

export function observeState(
  { fleet, gate, jobs, operations }: Pick<Context, 'fleet' | 'gate' | 'jobs' | 'operations'>,
  meters: Meters,
): void {
  counted(meters, 'holdfast_nodes', 'Nodes by state.', ['state'], () => [
    ...MEMBER_STATES.map((state) => ({ state, weight: 0 })),
    ...fleet.states().map((state) => ({ state })),
  ]);
  counted(meters, 'holdfast_jobs', 'Jobs by state.', ['state'], () => [
    ...Object.values(JobState)
      .filter((state) => state !== JobState.UNSPECIFIED && state !== JobState.UNRECOGNIZED)
      .map((state) => ({ state: shortState(state), weight: 0 })),
    ...jobs.all().map(({ state }) => ({ state: shortState(state) })),
  ]);
  const help = 'Operations at work, by kind and phase.';
  counted(meters, 'holdfast_operations_open', help, ['kind', 'phase'], () =>
    operations
      .open()
      .filter(({ operation }) => operation.phase !== 'QUEUED')
      .map(({ operation }) => ({ kind: kindOf(operation), phase: operation.phase })),
  );
  counted(meters, 'holdfast_queue_length', 'Operations that wait in their queue.', ['queue'], () => [
    { queue: 'checkpoint', weight: 0 },
    { queue: 'restart', weight: 0 },
    ...operations
      .open()
      .filter(({ operation }) => operation.phase === 'QUEUED')
      .map(({ operation }) => ({ queue: kindOf(operation) })),
  ]);
  const waiting = 'Checkpoints that wait until fewer are at work (max-checkpoints).';
  meters.gauge('holdfast_checkpoints_waiting', waiting, () => gate.waiting);
  const inside = 'Checkpoints at work that count for max-checkpoints, until their commit.';
  meters.gauge('holdfast_checkpoints_admitted', inside, () => gate.inside);
}

function shortState(state: JobState): string {
  return state.replace(/^JOB_STATE_/, '').toLowerCase();
}

type Counted = Readonly<Record<string, string | number>> & { readonly weight?: number };

/** A gauge that counts, at each scrape, the things with the same labels. Weight 0 shows a label of which there is none. */
function counted<Label extends string>(
  meters: Meters,
  name: string,
  help: string,
  labelNames: Label[],
  things: () => readonly Counted[],
): void {
  meters.gauges(name, help, labelNames, () =>
    things().map(({ weight = 1, ...labels }) => ({ labels: labels as Record<Label, string>, value: weight })),
  );
}
