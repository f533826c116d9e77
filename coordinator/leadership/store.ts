/** What a leader may still write to the store (A3). */
import type { Term } from './term';

/** A generation begins and ends with these: for them Redis is asked, too. */
const MANIFESTS = 'manifests/';

/**
 * Asked before each attempt of a write. The lease is looked at last, in the same turn in which the write is sent: a process
 * that stood still finds out before it sends anything.
 */
export function admitWrites(term: Term): (key: string) => Promise<void> {
  return async (key) => {
    if (key.includes(MANIFESTS)) await term.confirm();
    else term.requireHeld();
  };
}
