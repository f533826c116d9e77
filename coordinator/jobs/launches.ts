/** Launches of trees that wait for their answer: what they start may be there already, or not yet. */
export class Launches {
  readonly #open = new Map<string, Map<string, Promise<unknown>>>();

  /** Up to its first wait the work is done when this returns. */
  async during<T>(job: string, treeId: string, work: () => Promise<T>): Promise<T> {
    const trees = this.#open.get(job) ?? new Map<string, Promise<unknown>>();
    this.#open.set(job, trees);
    let end = () => {};
    trees.set(
      treeId,
      new Promise<void>((resolve) => {
        end = resolve;
      }),
    );
    try {
      return await work();
    } finally {
      trees.delete(treeId);
      if (trees.size === 0) this.#open.delete(job);
      end();
    }
  }

  has(job: string, treeId: string): boolean {
    return this.#open.get(job)?.has(treeId) === true;
  }

  /** Only under the job's lock, or more may begin meanwhile. */
  async untilNone(job: string): Promise<void> {
    for (let trees = this.#open.get(job); trees !== undefined; trees = this.#open.get(job))
      await Promise.all(trees.values());
  }
}
