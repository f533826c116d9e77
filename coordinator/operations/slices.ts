/** Long work in short stretches, so that nobody else's messages wait for all of it. */
import { setImmediate } from 'node:timers/promises';

/**
 * Acts on each item in order; between slices everything else has its turn.
 * @param isWanted asked before each slice: the rest is left out when it says no
 */
export async function inSlices<T>(
  items: readonly T[],
  sliceLength: number,
  isWanted: () => boolean,
  act: (item: T) => void,
): Promise<void> {
  for (let first = 0; first < items.length; first += sliceLength) {
    if (first > 0) await setImmediate();
    if (!isWanted()) return;
    for (const item of items.slice(first, first + sliceLength)) act(item);
  }
}
