/**
 * Follows one object until it has ended, whatever happens to the link: a stream that breaks is opened again after the last event
 * that was seen, at whoever leads then, and the object is also asked for now and then.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { type HoldfastError, toHoldfastError } from '../../core/errors';
import type { WatchResponse } from '../../proto/gen/holdfast/v1/coordinator';

export type WatchEvent = NonNullable<WatchResponse['event']>;
export type Told = Pick<WatchResponse, 'event' | 'eventId'>;

export interface Observed<T> {
  /** @param after id of the last event that was seen; empty: none */
  open(after: string, signal: AbortSignal): AsyncIterable<Told>;
  /** The object now. */
  get(): Promise<T>;
  /** The object when the event carries it. */
  pick(event: WatchEvent): T | undefined;
  ended(value: T): boolean;
  onEvent(event: WatchEvent): void;
  /** The object as get() returned it; may repeat what an event said. */
  onValue(value: T): void;
  /** Called once for every time the link is lost. */
  onLost(error: HoldfastError): void;
}

/** Pauses between two questions: soon after the start, where the stream may have missed something, then rarely. */
const POLL_MS = [250, 1000, 3000, 10_000];
const REOPEN_MS = [100, 500, 2000];

const at = (pauses: readonly number[], index: number) => pauses[Math.min(index, pauses.length - 1)] ?? 0;

async function readStream<T>(
  observed: Observed<T>,
  seen: { after: string },
  signal: AbortSignal,
): Promise<T | undefined> {
  for await (const { event, eventId } of observed.open(seen.after, signal)) {
    if (eventId !== '') seen.after = eventId;
    if (event === undefined) continue;
    observed.onEvent(event);
    const value = observed.pick(event);
    if (value !== undefined && observed.ended(value)) return value;
  }
  return undefined;
}

async function poll<T>(observed: Observed<T>, signal: AbortSignal): Promise<T | undefined> {
  for (let turn = 0; !signal.aborted; turn += 1) {
    await delay(at(POLL_MS, turn), undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return undefined;
    const value = await observed.get();
    observed.onValue(value);
    if (observed.ended(value)) return value;
  }
  return undefined;
}

/** One stream with the questions beside it: the ended object, or undefined when the stream ended before it. */
async function attempt<T>(observed: Observed<T>, seen: { after: string }): Promise<T | undefined> {
  const stop = new AbortController();
  const sources = [readStream(observed, seen, stop.signal), poll(observed, stop.signal)];
  try {
    return await Promise.race(sources);
  } finally {
    stop.abort();
    await Promise.allSettled(sources);
  }
}

/**
 * Resolves with the object once it has ended.
 * @throws HoldfastError that a retry does not cure, such as NOT_FOUND
 */
export async function observe<T>(observed: Observed<T>): Promise<T> {
  let lost = false;
  const seen = { after: '' };
  for (let failures = 0; ; failures += 1) {
    try {
      const ended = await attempt(observed, seen);
      if (ended !== undefined) return ended;
      const value = await observed.get();
      observed.onValue(value);
      if (observed.ended(value)) return value;
      lost = false;
    } catch (thrown) {
      const error = toHoldfastError(thrown);
      if (!error.kind.retryable) throw error;
      if (!lost) observed.onLost(error);
      lost = true;
    }
    await delay(at(REOPEN_MS, failures));
  }
}
