/** Committed generations and their packs, deleted as a store's garbage collector does. */
import type { Capture } from '../../../native';
import type { StoredGeneration } from './compare';
import type { Shadow } from './shadow';

/** How memory was read at the hold. */
export type HoldMode = 'copy at the hold' | 'snapshot';

export interface Generation extends StoredGeneration {
  readonly number: number;
  readonly mode: HoldMode;
  readonly shadow: Shadow;
}

/** Generations that can still be restored; older ones are deleted, and packs that none of these names. */
const KEPT = 8;
/** Ledgers number their packs from 1; here all have one numbering. */
const PACKS_PER_LEDGER = 1_000_000;

export class KeptGenerations {
  private kept: Generation[] = [];
  private ledgers = 1;
  private readonly stored = new Map<number, Buffer>();

  /** @param below a random number from 0 up to the limit */
  constructor(private readonly below: (limit: number) => number) {}

  async takePacks(capture: Capture): Promise<void> {
    for (let pack = await capture.next(); pack; pack = await capture.next()) {
      this.stored.set(this.numberOf(pack.number), Buffer.from(pack.body));
      capture.recycle(pack.number);
    }
  }

  /** The packs of an index by its own numbers; what is not there is left out. */
  packsOf(named: readonly number[]): Map<number, Buffer> {
    const found = named.map((number, at) => [at + 1, this.stored.get(this.numberOf(number))] as const);
    return new Map(found.filter((entry): entry is readonly [number, Buffer] => entry[1] !== undefined));
  }

  keep(generation: Generation): void {
    this.kept.push(generation);
    if (this.kept.length > KEPT) this.kept.splice(this.below(this.kept.length - 1), 1);
    this.deletePacks();
  }

  any(): Generation | undefined {
    return this.kept[this.below(this.kept.length)];
  }

  /** What the next generation names must be in a pack that one of these names. */
  deletePacks(): void {
    const named = new Set(this.kept.flatMap(({ packs }) => [...packs.values()]));
    for (const [number, body] of this.stored) if (!named.has(body)) this.stored.delete(number);
  }

  /** A new ledger begins. */
  forgetLedger(): void {
    this.ledgers++;
    this.deletePacks();
  }

  private numberOf(number: number): number {
    return this.ledgers * PACKS_PER_LEDGER + number;
  }
}
