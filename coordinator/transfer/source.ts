/** A caller's stream that can be given up, and that is given up when nothing comes for too long. */
import { HoldfastError } from '../../core/errors';
import type { Clock } from '../clock';

/** Waits for a step of the caller's, within the time for one. */
export async function stepWithin<T>(
  step: Promise<T>,
  { clock, signal, stallMs }: { clock: Clock; signal: AbortSignal; stallMs: number },
): Promise<T> {
  // It may fail because of the same end that is told below.
  step.catch(() => undefined);
  signal.throwIfAborted();
  let give: (why: unknown) => void = () => undefined;
  const given = new Promise<never>((_, reject) => {
    give = reject;
  });
  const onAbort = () => give(signal.reason);
  signal.addEventListener('abort', onAbort);
  const cancel = clock.after(stallMs, () =>
    give(new HoldfastError('TIMEOUT', `nothing moved for ${stallMs / 1000} s`, 'repeat it')),
  );
  try {
    return await Promise.race([step, given]);
  } finally {
    cancel();
    signal.removeEventListener('abort', onAbort);
  }
}

export async function* followed<T>(
  source: AsyncIterable<T>,
  limits: { clock: Clock; signal: AbortSignal; stallMs: number },
): AsyncGenerator<T> {
  const items = source[Symbol.asyncIterator]();
  for (;;) {
    const { done, value } = await stepWithin(items.next(), limits);
    if (done === true) return;
    yield value;
  }
}
