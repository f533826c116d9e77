/** What a call that must fail failed with. */
import { HoldfastError } from '../../../core/errors';

function expected(error: unknown): HoldfastError {
  if (error instanceof HoldfastError) return error;
  throw error;
}

export async function failureOf(promise: Promise<unknown>): Promise<HoldfastError> {
  const outcome = await promise.then(
    () => null,
    (error: unknown) => expected(error),
  );
  if (!outcome) throw new Error('it did not fail');
  return outcome;
}

export function thrownBy(call: () => unknown): HoldfastError {
  try {
    call();
  } catch (error) {
    return expected(error);
  }
  throw new Error('it did not fail');
}
