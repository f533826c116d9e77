/** Agents that stop at a fault point, as if they hung there: whatever is to happen at that point can then be done. */
import type { FaultPoint } from '../../core/faults';
import type { Stack } from '../harness/stack';
import { until } from './survival';

/** Replaces a node's agent by one that will stop at the point. */
export async function armStop(stack: Stack, node: string, point: FaultPoint): Promise<void> {
  await stack.agents.get(node)?.stop('SIGKILL');
  await stack.startAgent(node, { HOLDFAST_FAULT: `${point}:stop` });
}

/** Resolves when the node's agent stands at its point. */
export function stopped(stack: Stack, node: string, timeoutMs = 60_000): Promise<true> {
  const isAgent = (argv: readonly string[]) => argv.includes('agent') && argv.includes(node);
  const look = () => {
    const agent = stack
      .node(node)
      .processes()
      .find(({ argv }) => isAgent(argv));
    return agent?.state === 'T' ? true : null;
  };
  return until(`the agent of ${node} at its fault point`, look, timeoutMs);
}

/** Pids that CRIU keeps stopped on the node. */
export const heldPids = (stack: Stack, node: string): number[] =>
  stack
    .node(node)
    .processes()
    .filter(({ state }) => state === 't')
    .map(({ pid }) => pid);

/** Resolves with the time it took until nothing of the node is held any more, in ms. */
export async function thawed(stack: Stack, node: string, timeoutMs = 30_000): Promise<number> {
  const startMs = Date.now();
  await until(`${node} thawed`, () => (heldPids(stack, node).length === 0 ? true : null), timeoutMs);
  return Date.now() - startMs;
}
