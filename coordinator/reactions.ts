/** From what the nodes tell to what happens to jobs. The only place that connects the two. */

import { discardOf } from './checkpoint/discard';
import type { Context } from './context';
import { treeEnded } from './jobs/ended';
import { nodeLost } from './jobs/loss';
import { nodeRegistered } from './jobs/registered';
import { saveNode } from './state/nodes';

/** The result ends all reactions. */
export function connectReactions(context: Context): () => void {
  const { fleet, log, redis } = context;
  const logged = (what: string, work: Promise<unknown>) => {
    work.catch((err) => log.error({ err }, `${what} failed`));
  };
  const subscriptions = [
    fleet.changed.subscribe((node) => logged('saving a node', saveNode(redis, node))),
    fleet.registered.subscribe((register) => logged('registration', nodeRegistered(context, register))),
    fleet.registered.subscribe(({ node }) => logged('discarding', discardOf(context, node))),
    fleet.lost.subscribe((node) => logged('handling a lost node', nodeLost(context, node))),
    fleet.treeEnded.subscribe(({ node, ended }) => {
      // Without the acknowledgement the agent reports it again: nothing is lost by a failure here.
      const work = treeEnded(context, node, ended).then(() => fleet.acknowledgeEnd(node, ended));
      logged('handling the end of a tree', work);
    }),
  ];
  return () => {
    for (const unsubscribe of subscriptions) unsubscribe();
  };
}
