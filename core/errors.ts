/**
 * The error catalogue: every failure a user can meet has a stable code, says which object and cause, and
 * what to do. docs/errors.md lists the same codes (held equal by a test).
 */

export interface ErrorKind {
  /** gRPC status code number (https://grpc.io/docs/guides/status-codes/). */
  readonly status: number;
  /** Exit code of the command line tools. */
  readonly exitCode: number;
  /** Whether the same request may succeed later unchanged. */
  readonly retryable: boolean;
}

const kind = (status: number, exitCode: number, retryable = false): ErrorKind => ({
  status,
  exitCode,
  retryable,
});

export const ERRORS = {
  INVALID_ARGUMENT: kind(3, 2),
  NOT_FOUND: kind(5, 3),
  PERMISSION_DENIED: kind(7, 4),
  UNAUTHENTICATED: kind(16, 4),
  /** Preflight found what cannot be captured. */
  NOT_CAPTURABLE: kind(9, 5),
  /** The job or operation is not in a state that allows the request. */
  WRONG_STATE: kind(9, 5),
  /** A command of an abandoned operation (invariant E1). */
  STALE_EPOCH: kind(10, 6),
  CRIU_FAILED: kind(13, 7),
  CRIU_UNUSABLE: kind(9, 7),
  /** The hold ended without a release: lease, agent or coordinator was lost (invariant F1). */
  HOLD_LOST: kind(10, 8, true),
  NODE_LOST: kind(14, 8, true),
  NODE_UNAVAILABLE: kind(14, 8, true),
  COORDINATOR_UNAVAILABLE: kind(14, 8, true),
  STORE_UNAVAILABLE: kind(14, 9, true),
  STORE_REFUSED: kind(7, 9),
  OBJECT_MISSING: kind(5, 9),
  /** Stored bytes do not match their checksum, or a format is malformed. */
  CORRUPT: kind(15, 10),
  UNKNOWN_FORMAT: kind(12, 10),
  FILE_CHANGED: kind(9, 11),
  /** A checkpoint is encrypted with a key that this node does not have, or none is there to write with. */
  KEY_UNAVAILABLE: kind(9, 16),
  NO_CAPABLE_NODE: kind(9, 12, true),
  ABORTED: kind(10, 13, true),
  TIMEOUT: kind(4, 14, true),
  LIMIT_EXCEEDED: kind(8, 15, true),
  INJECTED_FAULT: kind(13, 70),
  INTERNAL: kind(13, 70),
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERRORS;

export class HoldfastError extends Error {
  override readonly name = 'HoldfastError';

  /**
   * @param code   entry of the catalogue
   * @param message the object and the cause, one sentence
   * @param remedy what the reader can do about it; empty when there is nothing
   */
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly remedy = '',
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }

  get kind(): ErrorKind {
    return ERRORS[this.code];
  }
}

/** Of a coordinator that stands by. @param leader HOST:PORT; empty: none leads now */
export class NotLeaderError extends HoldfastError {
  constructor(readonly leader: string) {
    const [who, remedy] =
      leader === ''
        ? ['none leads now', 'try again in some seconds']
        : [`${leader} leads`, 'ask that one, or through an agent'];
    super('COORDINATOR_UNAVAILABLE', `this coordinator stands by: ${who}`, remedy);
  }
}

export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERRORS, code);
}

/** Any thrown value as a HoldfastError; what is not ours becomes INTERNAL. */
export function toHoldfastError(thrown: unknown): HoldfastError {
  if (thrown instanceof HoldfastError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new HoldfastError('INTERNAL', message, '', { cause: thrown });
}
