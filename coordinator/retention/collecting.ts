/** What retention and sweeps tell of their work, for whoever watches it. */
import { Signal } from '../signal';

interface Amount {
  readonly objects: number;
  readonly bytes: number;
}

export class Collecting {
  readonly removed = new Signal<{ readonly job: string; readonly cause: 'policy' | 'request' }>();
  /** Found to be garbage; it waits for its deletion from now on. */
  readonly condemned = new Signal<Amount>();
  readonly deleted = new Signal<Amount>();
  readonly swept = new Signal<{ readonly outcome: 'ok' | 'skipped' | 'failed'; readonly ms: number }>();
}

export function amountOf(found: readonly { readonly sizeBytes: number }[]): Amount {
  return { objects: found.length, bytes: found.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) };
}
