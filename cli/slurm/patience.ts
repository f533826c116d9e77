/** What fails for a reason that passes is tried again: a script that fails is not run again by Slurm. */
import { setTimeout as delay } from 'node:timers/promises';
import { type ErrorCode, toHoldfastError } from '../../core/errors';

const PATIENCE_MS = 5 * 60_000;
const PAUSE_MS = 3000;

/** After such a failure the coordinator takes an older checkpoint, sooner or later. */
const OF_A_CHECKPOINT: ReadonlySet<ErrorCode> = new Set([
  'CORRUPT',
  'OBJECT_MISSING',
  'UNKNOWN_FORMAT',
  'CRIU_FAILED',
  'FILE_CHANGED',
]);
const MAX_OF_A_CHECKPOINT = 5;

/** @throws HoldfastError the last failure */
export async function patiently<T>(
  step: (isAgain: boolean) => Promise<T>,
  onFailure: (message: string) => void,
  pauseMs = PAUSE_MS,
): Promise<T> {
  const deadlineMs = Date.now() + PATIENCE_MS;
  let bad = 0;
  for (let tries = 0; ; tries++) {
    try {
      return await step(tries > 0);
    } catch (thrown) {
      const { code, kind, message } = toHoldfastError(thrown);
      if (OF_A_CHECKPOINT.has(code)) bad++;
      const mayPass = kind.retryable || (OF_A_CHECKPOINT.has(code) && bad < MAX_OF_A_CHECKPOINT);
      if (!mayPass || Date.now() > deadlineMs) throw thrown;
      onFailure(`${message}; trying again`);
      await delay(pauseMs);
    }
  }
}
