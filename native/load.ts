/** Loads the addon, checks arguments and translates errors: for the files that are the boundary. */
import { HoldfastError, isErrorCode, toHoldfastError } from '../core/errors';
import { nativePath } from './paths';

let loaded: unknown = null;

/** The addon; each file of the boundary says which part of it it uses. */
export function loadEngine(): unknown {
  if (loaded) return loaded;
  const path = nativePath('engine.node');
  try {
    loaded = require(path);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new HoldfastError(
      'INTERNAL',
      `cannot load the native engine: ${reason}`,
      'Run `npm run build:native`.',
      {
        cause,
      },
    );
  }
  return loaded;
}

/** Errors of the engine carry an entry of the catalogue. They may come from another realm, so no instanceof. */
function fromNative(thrown: unknown): HoldfastError {
  const { code, message, remedy } = thrown as Partial<Record<'code' | 'message' | 'remedy', unknown>>;
  if (typeof code !== 'string' || !isErrorCode(code)) return toHoldfastError(thrown);
  return new HoldfastError(code, String(message), String(remedy ?? ''), { cause: thrown });
}

/** What the engine throws, as a HoldfastError. */
export function translated<T>(call: () => T): T {
  try {
    return call();
  } catch (thrown) {
    throw fromNative(thrown);
  }
}

export async function translatedAsync<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (thrown) {
    throw fromNative(thrown);
  }
}

export const MAX_PID = 2 ** 22;

export function requireInteger(name: string, value: number, min: number, max: number): void {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return;
  throw new HoldfastError(
    'INVALID_ARGUMENT',
    `${name} is ${value}`,
    `Give an integer from ${min} to ${max}.`,
  );
}
