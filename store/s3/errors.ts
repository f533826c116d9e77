/** Replies and socket errors as store errors. Messages hold what the server called the failure, never a header. Pure. */
import { type ErrorCode, HoldfastError } from '../../core/errors';
import { S3Failure } from './failure';

interface Meaning {
  readonly code: ErrorCode;
  readonly remedy: string;
}

const UNAVAILABLE: Meaning = {
  code: 'STORE_UNAVAILABLE',
  remedy: 'check that the endpoint is right, running and reachable from this node',
};
const CHANGED: Meaning = {
  code: 'CORRUPT',
  remedy: 'the bytes changed on their way to the server; check the memory and network of this node',
};
const REFUSED: Meaning = {
  code: 'STORE_REFUSED',
  remedy: 'check the access key, the secret key and what the bucket permits them',
};

const BY_CODE: Readonly<Record<string, Meaning>> = {
  NoSuchKey: { code: 'OBJECT_MISSING', remedy: '' },
  NoSuchBucket: { code: 'STORE_REFUSED', remedy: 'create the bucket, or name one that exists' },
  BucketAlreadyExists: {
    code: 'STORE_REFUSED',
    remedy: 'the bucket belongs to another user; name another one',
  },
  RequestTimeTooSkewed: { code: 'STORE_REFUSED', remedy: 'set the clock of this node' },
  XAmzContentSHA256Mismatch: CHANGED,
  BadDigest: CHANGED,
  InvalidRange: { code: 'CORRUPT', remedy: 'the object is shorter than recorded; use another generation' },
  // 400 in spite of being the network's fault.
  RequestTimeout: UNAVAILABLE,
  IncompleteBody: UNAVAILABLE,
};

/** @param what the operation and its object, such as "reading s3://ckpt/jobs/7 at http://10.0.0.1:7480" */
export function s3Error(thrown: unknown, what: string): HoldfastError {
  if (thrown instanceof HoldfastError) return thrown;
  if (thrown instanceof S3Failure) {
    const { code, remedy } = BY_CODE[thrown.code] ?? meaningOfStatus(thrown.status);
    return new HoldfastError(code, `${what} was refused: ${thrown.message}`, remedy);
  }
  // An AggregateError, of several addresses, has no message.
  const { name, message, code } = toError(thrown);
  const cause = message || code || name;
  if (name === 'TypeError') return new HoldfastError('INTERNAL', `${what} failed: ${cause}`);
  return new HoldfastError(UNAVAILABLE.code, `${what} failed: ${cause}`, UNAVAILABLE.remedy);
}

function meaningOfStatus(status: number): Meaning {
  if (status === 404) return { code: 'OBJECT_MISSING', remedy: '' };
  if (status === 501)
    return { code: 'STORE_REFUSED', remedy: 'the server lacks this operation; use another S3 server' };
  if (mayBeTransient(status)) return UNAVAILABLE;
  return REFUSED;
}

/** Statuses that say nothing about whether the request was carried out. */
export function mayBeTransient(status: number): boolean {
  return status >= 500 || status === 408 || status === 409 || status === 429;
}

export function errnoError(errno: string, message: string): Error {
  return Object.assign(new Error(message), { code: errno });
}

/** What the SDK throws is not always an Error: it hands out parsed XML too. */
function toError(thrown: unknown): Partial<Record<'name' | 'message' | 'code', string>> {
  return typeof thrown === 'object' && thrown !== null ? thrown : { message: String(thrown) };
}
