/** Commands to the nodes, and nodes that stopped answering. */
import { attempt } from '../../core/telemetry/attempt';
import { SHORT_SECONDS } from '../../core/telemetry/buckets';
import type { Meters } from '../../core/telemetry/meters';
import type { Context } from '../context';
import { outcomeCode } from '../sessions/commands';
import { observe } from './observe';

/** The result are the subscriptions. */
export function observeCommands(
  { fleet, log }: Pick<Context, 'fleet' | 'log'>,
  meters: Meters,
): (() => void)[] {
  const seconds = meters.histogram(
    'holdfast_command_seconds',
    'From sending a command to a node to its result, by outcome: ok, or the code of the error.',
    SHORT_SECONDS,
    ['command', 'outcome'],
  );
  const lost = meters.counter('holdfast_lease_losses_total', 'Nodes whose lease ended.');
  return [
    observe(fleet.commanding, log, ({ command, outcome }) => {
      const measured = seconds.startTimer({ command: command.body?.$case ?? '' });
      outcome.then((result) => attempt(() => measured({ outcome: outcomeCode(result) ?? 'ok' })));
    }),
    observe(fleet.lost, log, () => lost.inc()),
  ];
}
