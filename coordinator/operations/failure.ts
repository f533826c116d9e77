/** An error as a value that machines pass on and records keep. */
import { type ErrorCode, HoldfastError, toHoldfastError } from '../../core/errors';

export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly remedy: string;
}

export function failureOf(thrown: unknown): Failure {
  const { code, message, remedy } = toHoldfastError(thrown);
  return { code, message, remedy };
}

export function errorOf(failure: Failure): HoldfastError {
  return new HoldfastError(failure.code, failure.message, failure.remedy);
}
