/** In which order packs are fetched when nobody waits for a page of them. Pure. */

/**
 * Hottest first: a manifest lists a tree's packs in the order in which they were written. The last ones hold what was written
 * to just before the hold, the ones before them what changed since the generation before, and so on.
 */
export const newestFirst = (packCount: number): number[] =>
  Array.from({ length: packCount }, (_, index) => packCount - index);

export class PackQueue {
  private readonly waiting: number[];

  /**
   * @param missing packs by number, as the capture wrote them: neighbours in memory are neighbours here
   * @param hottest packs whose pages are likely needed first, best first
   */
  constructor(missing: readonly number[], hottest: readonly number[] = []) {
    const wanted = new Set(missing);
    const first = hottest.filter((pack) => wanted.delete(pack));
    this.waiting = [...first, ...wanted];
  }

  next(): number | undefined {
    return this.waiting.shift();
  }

  /** A page of this pack was needed: what lies around it is likely needed next. */
  promote(pack: number): void {
    // In reverse: the pack itself comes to the front.
    for (const near of [pack + 1, pack]) {
      const place = this.waiting.indexOf(near);
      if (place > 0) this.waiting.unshift(...this.waiting.splice(place, 1));
    }
  }
}
