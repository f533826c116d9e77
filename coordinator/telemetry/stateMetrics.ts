/** How many of what there are, read when they are asked for. */
import { Gauge, type Registry } from 'prom-client';
import { JobState } from '../../proto/gen/holdfast/v1/coordinator';
import type { Context } from '../context';
import { MEMBER_STATES } from '../sessions/member';
import { kindOf } from './kind';

export function observeState(
  { fleet, jobs, operations }: Pick<Context, 'fleet' | 'jobs' | 'operations'>,
  registry: Registry,
): void {
  counted(registry, 'holdfast_nodes', 'Nodes by state.', ['state'], () => [
    ...MEMBER_STATES.map((state) => ({ state, weight: 0 })),
    ...fleet.states().map((state) => ({ state })),
  ]);
  counted(registry, 'holdfast_jobs', 'Jobs by state.', ['state'], () => [
    ...Object.values(JobState)
      .filter((state) => state !== JobState.UNSPECIFIED && state !== JobState.UNRECOGNIZED)
      .map((state) => ({ state: shortState(state), weight: 0 })),
    ...jobs.all().map(({ state }) => ({ state: shortState(state) })),
  ]);
  const help = 'Operations at work, by kind and phase.';
  counted(registry, 'holdfast_operations_open', help, ['kind', 'phase'], () =>
    operations
      .open()
      .filter(({ operation }) => operation.phase !== 'QUEUED')
      .map(({ operation }) => ({ kind: kindOf(operation), phase: operation.phase })),
  );
  counted(registry, 'holdfast_queue_length', 'Operations that wait in their queue.', ['queue'], () => [
    { queue: 'checkpoint', weight: 0 },
    { queue: 'restart', weight: 0 },
    ...operations
      .open()
      .filter(({ operation }) => operation.phase === 'QUEUED')
      .map(({ operation }) => ({ queue: kindOf(operation) })),
  ]);
}

function shortState(state: JobState): string {
  return state.replace(/^JOB_STATE_/, '').toLowerCase();
}

type Counted = Readonly<Record<string, string | number>> & { readonly weight?: number };

/** A gauge that counts, at each scrape, the things with the same labels. Weight 0 shows a label of which there is none. */
function counted<Label extends string>(
  registry: Registry,
  name: string,
  help: string,
  labelNames: Label[],
  things: () => readonly Counted[],
): void {
  new Gauge({
    ...{ name, help, labelNames },
    registers: [registry],
    collect() {
      this.reset();
      for (const { weight = 1, ...labels } of things()) this.inc(labels as Record<Label, string>, weight);
    },
  });
}
