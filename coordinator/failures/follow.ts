/** From what the nodes do to the tally. A node that was drained is taken down on purpose. */
import type { Context } from '../context';

/** The result stops. */
export function followFailures({ drains, failures, fleet, log }: Context): () => void {
  const report = (thrown: unknown) => log.error({ err: thrown }, 'failure tally not stored');
  const stops = [
    fleet.changed.subscribe(() => void failures.setNodes(fleet.aliveCount).catch(report)),
    fleet.lost.subscribe((node) => {
      if (drains.find(node) !== undefined) return;
      // One node alone cannot be told from our own connection.
      const isAll = fleet.aliveCount === 0 && fleet.states().length > 1;
      failures.nodeLost(isAll).catch(report);
    }),
    failures.keep(report),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}
