/**
 * Retries around any object store: exponential back-off with jitter, for errors a retry may cure. Reads, whole
 * writes and deletes may simply be repeated; a conditional create may not, see `putIfAbsent`.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { HoldfastError } from '../core/errors';
import type { ObjectStore } from './contract';
import { readBack } from './readback';

export interface RetryOptions {
  /** How often an operation is tried in all. */
  readonly attempts: number;
  /** The first back-off; every further one is twice as long, up to `maxDelayMs`. */
  readonly baseDelayMs: number;
  readonly maxDelayMs: number;
  /** In [0, 1). */
  readonly random: () => number;
  readonly sleep: (ms: number) => Promise<unknown>;
  /** Told before each back-off. */
  readonly onRetry: (error: HoldfastError, attempt: number, delayMs: number) => void;
}

/** Bridges ten to twenty seconds: the restart of a gateway, not the loss of a site. */
export const RETRY_DEFAULTS: RetryOptions = {
  attempts: 10,
  baseDelayMs: 100,
  maxDelayMs: 4_000,
  random: Math.random,
  sleep: delay,
  onRetry: () => undefined,
};

/** Between half and all of the exponential delay, so that clients that failed together come back apart. Pure. */
export function backOffMs(
  attempt: number,
  options: Pick<RetryOptions, 'baseDelayMs' | 'maxDelayMs' | 'random'>,
) {
  const fullMs = Math.min(options.maxDelayMs, options.baseDelayMs * 2 ** (attempt - 1));
  return fullMs * (0.5 + options.random() / 2);
}

export function withRetries(store: ObjectStore, partial: Partial<RetryOptions> = {}): ObjectStore {
  const options = { ...RETRY_DEFAULTS, ...partial };
  const retried = <T>(step: (attempt: number) => Promise<T>) => retry(step, options);

  /**
   * After an error the create may or may not have happened, so the key is read back before anything else is
   * done. A refusal of a later attempt is resolved in the same way: it may have met the object of an earlier one.
   */
  async function putIfAbsent(key: string, body: Uint8Array): Promise<boolean> {
    return retried(async (attempt) => {
      if (attempt > 1) {
        const found = await readBack(store, key, body);
        if (found !== 'missing') return found === 'ours';
      }
      const created = await store.putIfAbsent(key, body);
      if (created || attempt === 1) return created;
      return (await readBack(store, key, body)) === 'ours';
    });
  }

  async function* list(prefix: string) {
    // A listing that has begun is continued after the last key that was handed out.
    let last = '';
    let done = false;
    let failures = 0;
    while (!done) {
      try {
        for await (const info of store.list(prefix)) {
          if (info.key <= last) continue;
          last = info.key;
          failures = 0;
          yield info;
        }
        done = true;
      } catch (error) {
        failures += 1;
        await backOff(error, failures, options);
      }
    }
  }

  return {
    description: store.description,
    put: (key, body, putOptions) => retried(() => store.put(key, body, putOptions)),
    putIfAbsent,
    get: (key, range, into) => retried(() => store.get(key, range, into)),
    stat: (key) => retried(() => store.stat(key)),
    list,
    delete: (key) => retried(() => store.delete(key)),
    open: () => retried(() => store.open()),
    close: () => store.close(),
  };
}

async function retry<T>(step: (attempt: number) => Promise<T>, options: RetryOptions): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await step(attempt);
    } catch (error) {
      await backOff(error, attempt, options);
    }
  }
}

/** Sleeps before the next attempt, or throws when there is none. */
async function backOff(error: unknown, attempt: number, options: RetryOptions): Promise<void> {
  const curable = error instanceof HoldfastError && error.kind.retryable;
  if (!curable || attempt >= options.attempts) throw error;
  const delayMs = backOffMs(attempt, options);
  options.onRetry(error, attempt, delayMs);
  await options.sleep(delayMs);
}
