/**
 * Checkpoint ids that may have been given, as the store knows it. An id is given only below what is reserved there, so a coordinator
 * whose Redis has lost its last writes goes on above it. Each reservation is an object of its own: one that is made late, by who
 * leads no more, takes nothing back.
 */
import type { ObjectStore } from '../../store/contract';

const PREFIX = 'ids/checkpoint/';
/** So many are passed over at most when another coordinator begins to lead. */
const BLOCK = 32;

const keyOf = (last: number): string => `${PREFIX}${String(last).padStart(12, '0')}`;

export class Reservations {
  private constructor(
    private readonly store: ObjectStore,
    private last: number,
  ) {}

  /** @throws HoldfastError STORE_UNAVAILABLE, STORE_REFUSED */
  static async open(store: ObjectStore): Promise<Reservations> {
    return new Reservations(store, Math.max(0, ...(await reserved(store))));
  }

  /** No id above it was ever given. */
  get ceiling(): number {
    return this.last;
  }

  /** Before the id is given. @throws HoldfastError STORE_UNAVAILABLE, STORE_REFUSED */
  async cover(id: number): Promise<void> {
    if (id <= this.last) return;
    const last = id - 1 + BLOCK;
    await this.store.putIfAbsent(keyOf(last), Buffer.from('\n'));
    this.last = last;
    for (const before of await reserved(this.store))
      if (before < last) await this.store.delete(keyOf(before));
  }
}

async function reserved(store: ObjectStore): Promise<number[]> {
  const found: number[] = [];
  for await (const { key } of store.list(PREFIX)) {
    const digits = /^([0-9]{12})$/.exec(key.slice(PREFIX.length))?.[1];
    if (digits !== undefined) found.push(Number(digits));
  }
  return found;
}
