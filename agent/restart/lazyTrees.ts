/** The trees of this node that run while their memory is being filled. */
import type { Logger } from 'pino';
import { HoldfastError } from '../../core/errors';
import type { TreeFilling } from '../../proto/gen/holdfast/v1/agent';
import type { Tree } from '../trees';
import type { LazyTree } from './lazyTree';

export class LazyTrees {
  private readonly filling = new Map<string, { tree: Tree; lazy: LazyTree }>();

  constructor(private readonly log: Logger) {}

  add(tree: Tree, lazy: LazyTree): void {
    this.filling.set(tree.directory, { tree, lazy });
    lazy.ended.then((complete) => {
      this.filling.delete(tree.directory);
      this.log.info({ job: tree.job, tree: tree.treeId, complete }, 'lazy restart over');
    });
  }

  /** The tree has ended. */
  forget(tree: Tree): void {
    this.filling.get(tree.directory)?.lazy.stop();
  }

  status(): TreeFilling[] {
    return [...this.filling.values()].map(({ tree, lazy }) => {
      const { job, treeId, incarnation } = tree;
      return { job, treeId, incarnation, ...lazy.status() };
    });
  }

  /** A job must be whole before it is frozen. @throws WRONG_STATE when that takes longer than the signal allows */
  async untilComplete(job: string, signal: AbortSignal): Promise<void> {
    for (const { tree, lazy } of this.filling.values()) {
      if (tree.job !== job) continue;
      const aborted = new Promise<never>((_, reject) => {
        const give = () => reject(this.notComplete(job, lazy));
        if (signal.aborted) give();
        signal.addEventListener('abort', give, { once: true });
      });
      await Promise.race([lazy.ended, aborted]);
    }
  }

  /** All trees complete, or the time is over. */
  async drain(signal: AbortSignal): Promise<void> {
    const jobs = new Set([...this.filling.values()].map(({ tree }) => tree.job));
    await Promise.all([...jobs].map((job) => this.untilComplete(job, signal)));
  }

  private notComplete(job: string, lazy: LazyTree): HoldfastError {
    const { residentBytes, totalBytes, storeUnavailableSinceMs } = lazy.status();
    const percent = totalBytes > 0 ? Math.floor((100 * residentBytes) / totalBytes) : 0;
    const store = storeUnavailableSinceMs > 0 ? ', and the store does not answer' : '';
    return new HoldfastError(
      'WRONG_STATE',
      `job ${job} was restarted lazily and has ${percent} % of its memory${store}`,
      'try again when it is complete (holdfast info shows it)',
    );
  }
}
