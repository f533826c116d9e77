/** How many generations name each object: what goes with the last one that does (M5). Pure. */
export type Objects = ReadonlyMap<string, number>;

export class References {
  readonly #counts = new Map<string, number>();
  #bytes = 0;

  constructor(generations: Iterable<Objects> = []) {
    for (const objects of generations) this.add(objects);
  }

  /** Of all objects that are named, each once. */
  get bytes(): number {
    return this.#bytes;
  }

  has(key: string): boolean {
    return this.#counts.has(key);
  }

  add(objects: Objects): void {
    for (const [key, sizeBytes] of objects) {
      const count = this.#counts.get(key) ?? 0;
      if (count === 0) this.#bytes += sizeBytes;
      this.#counts.set(key, count + 1);
    }
  }

  /** Bytes of the objects that nobody names any more. */
  remove(objects: Objects): number {
    let freedBytes = 0;
    for (const [key, sizeBytes] of objects) {
      const count = this.#counts.get(key) ?? 0;
      if (count > 1) this.#counts.set(key, count - 1);
      else if (this.#counts.delete(key)) freedBytes += sizeBytes;
    }
    this.#bytes -= freedBytes;
    return freedBytes;
  }
}
