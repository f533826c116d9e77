/** Trees without processes: what a simulated node says that it hosts. */
import type { HostedEnd, HostedTrees } from '../../agent/session/connection';
import type { HostedTree } from '../../proto/gen/holdfast/v1/agent';

const keyOf = ({ job, treeId, incarnation }: Omit<HostedTree, 'rootPid'>) =>
  `${job}/${treeId}/${incarnation}`;

export class SimulatedTrees implements HostedTrees {
  readonly #trees = new Map<string, HostedTree>();
  readonly #ended = new Map<string, HostedEnd>();
  #lastPid = 1000;

  all(): HostedTree[] {
    return [...this.#trees.values()];
  }

  ofJob(job: string): HostedTree[] {
    return this.all().filter((tree) => tree.job === job);
  }

  unreportedEnds(): HostedEnd[] {
    return [...this.#ended.values()];
  }

  forget(job: string, treeId: string, incarnation: number): void {
    this.#ended.delete(keyOf({ job, treeId, incarnation }));
  }

  start(job: string, treeId: string, incarnation: number): HostedTree {
    const tree = { job, treeId, incarnation, rootPid: ++this.#lastPid };
    this.#trees.set(keyOf(tree), tree);
    return tree;
  }

  end(tree: HostedTree, signal: number): HostedEnd {
    const end = { tree, exit: { signal }, memoryLost: '', seatGone: false };
    this.#trees.delete(keyOf(tree));
    this.#ended.set(keyOf(tree), end);
    return end;
  }
}
