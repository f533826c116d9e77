/** One operation at a time per job, in the order they asked (E2). */
export class JobLocks {
  readonly #tails = new Map<string, Promise<unknown>>();

  isBusy(job: string): boolean {
    return this.#tails.has(job);
  }

  async untilIdle(job: string): Promise<void> {
    // Without a place in the line: two that wait like this would wait for each other.
    for (let tail = this.#tails.get(job); tail !== undefined; tail = this.#tails.get(job)) await tail;
  }

  async run<T>(job: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(job) ?? Promise.resolve();
    const mine = before.then(work, work);
    // A failure is the caller's; the next in line only waits for the end.
    const tail = mine.catch(() => {});
    this.#tails.set(job, tail);
    try {
      return await mine;
    } finally {
      if (this.#tails.get(job) === tail) this.#tails.delete(job);
    }
  }
}
