/** Exports and imports at work: each takes memory of the coordinator, which is everybody's. */
import { HoldfastError } from '../../core/errors';

/** Each holds two objects at most: 32 MiB as packs are cut, 128 MiB at the limit of an object. */
const MAX_TRANSFERS = 8;
const MAX_OF_ONE_USER = 2;
const ROOT = 0;

export class Transfers {
  readonly #uids: number[] = [];
  readonly #jobs = new Set<string>();
  readonly #exported = new Set<{ job: string; generation: number }>();

  /**
   * @returns what ends it
   * @throws HoldfastError LIMIT_EXCEEDED
   */
  begin(uid: number): () => void {
    const own = this.#uids.filter((other) => other === uid).length;
    const isFull = this.#uids.length >= MAX_TRANSFERS;
    if (isFull || (uid !== ROOT && own >= MAX_OF_ONE_USER)) {
      const whose = isFull ? '' : ` of uid ${uid}`;
      const count = isFull ? MAX_TRANSFERS : own;
      throw new HoldfastError(
        'LIMIT_EXCEEDED',
        `${count} exports and imports${whose} are at work`,
        'wait until one has ended',
      );
    }
    this.#uids.push(uid);
    return () => this.#uids.splice(this.#uids.indexOf(uid), 1);
  }

  /** The job id is given to one import at a time; false when another one has it. */
  reserve(job: string): boolean {
    if (this.#jobs.has(job)) return false;
    this.#jobs.add(job);
    return true;
  }

  release(job: string): void {
    this.#jobs.delete(job);
  }

  /**
   * As long as an export reads it, the generation stays (G4).
   * @returns what ends it
   */
  exporting(job: string, generation: number): () => void {
    const reading = { job, generation };
    this.#exported.add(reading);
    return () => this.#exported.delete(reading);
  }

  exportedOf(job: string): Set<number> {
    const own = [...this.#exported].filter((reading) => reading.job === job);
    return new Set(own.map(({ generation }) => generation));
  }
}
