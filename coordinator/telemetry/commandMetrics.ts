/** Commands to the nodes, and nodes that stopped answering. */
import { Counter, Histogram, type Registry } from 'prom-client';
import { attempt } from '../../core/telemetry/attempt';
import { SHORT_SECONDS } from '../../core/telemetry/buckets';
import type { Context } from '../context';
import { outcomeCode } from '../sessions/commands';
import { observe } from './observe';

/** The result are the subscriptions. */
export function observeCommands(
  { fleet, log }: Pick<Context, 'fleet' | 'log'>,
  registry: Registry,
): (() => void)[] {
  const registers = [registry];
  const seconds = new Histogram({
    name: 'holdfast_command_seconds',
    help: 'From sending a command to a node to its result, by outcome: ok, or the code of the error.',
    labelNames: ['command', 'outcome'],
    buckets: SHORT_SECONDS,
    registers,
  });
  const lost = new Counter({
    name: 'holdfast_lease_losses_total',
    help: 'Nodes whose lease ended.',
    registers,
  });
  return [
    observe(fleet.commanding, log, ({ command, outcome }) => {
      const measured = seconds.startTimer({ command: command.body?.$case ?? '' });
      outcome.then((result) => attempt(() => measured({ outcome: outcomeCode(result) ?? 'ok' })));
    }),
    observe(fleet.lost, log, () => lost.inc()),
  ];
}
