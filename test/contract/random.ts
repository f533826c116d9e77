import { createCipheriv } from 'node:crypto';

/** Seeded randomness: a failing run prints its seed, HOLDFAST_TEST_SEED repeats it. */
export interface Random {
  readonly seed: number;
  /** In [0, bound). */
  below(bound: number): number;
  bytes(length: number): Buffer;
}

export function seededRandom(seed = Number(process.env.HOLDFAST_TEST_SEED ?? Date.now() % 2 ** 31)): Random {
  let state = seed >>> 0;
  // mulberry32
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
  const bytes = (length: number) => {
    const key = Buffer.alloc(16);
    key.writeUInt32LE(next(), 0);
    return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(length));
  };
  return { seed, below: (bound) => next() % bound, bytes };
}
