/** HoldfastError to and from gRPC: the catalogue's status, with code and remedy in the trailing metadata. */
import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import type { ErrorDetail } from '../../proto/gen/holdfast/v1/agent';
import { type ErrorCode, HoldfastError, isErrorCode, NotLeaderError, toHoldfastError } from '../errors';

const CODE_KEY = 'holdfast-code';
// Binary, because a remedy may name a file in any alphabet.
const REMEDY_KEY = 'holdfast-remedy-bin';

/** Who leads, in the answer of a coordinator that does not. */
const LEADER_KEY = 'holdfast-leader';

const CODE_OF_STATUS: Partial<Record<number, ErrorCode>> = {
  [status.CANCELLED]: 'ABORTED',
  [status.INVALID_ARGUMENT]: 'INVALID_ARGUMENT',
  [status.DEADLINE_EXCEEDED]: 'TIMEOUT',
  [status.NOT_FOUND]: 'NOT_FOUND',
  [status.PERMISSION_DENIED]: 'PERMISSION_DENIED',
  [status.RESOURCE_EXHAUSTED]: 'LIMIT_EXCEEDED',
  [status.UNAVAILABLE]: 'COORDINATOR_UNAVAILABLE',
  [status.UNAUTHENTICATED]: 'UNAUTHENTICATED',
};

export function toGrpcError(thrown: unknown): ServiceError {
  const error = toHoldfastError(thrown);
  const metadata = new Metadata();
  metadata.set(CODE_KEY, error.code);
  if (error.remedy !== '') metadata.set(REMEDY_KEY, Buffer.from(error.remedy, 'utf8'));
  if (error instanceof NotLeaderError && error.leader !== '') metadata.set(LEADER_KEY, error.leader);
  return Object.assign(new Error(error.message), {
    code: error.kind.status,
    details: error.message,
    metadata,
  });
}

function isServiceError(thrown: unknown): thrown is ServiceError {
  return (
    thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'number' && 'details' in thrown
  );
}

/** HOST:PORT of the leader, when that is what the error tells. */
export function leaderIn(thrown: unknown): string | undefined {
  const [leader] = isServiceError(thrown) ? (thrown.metadata?.get(LEADER_KEY) ?? []) : [];
  return typeof leader === 'string' ? leader : undefined;
}

/** What a client call threw; an error without our code in it came from the transport. */
export function fromGrpcError(thrown: unknown): HoldfastError {
  if (!isServiceError(thrown)) return toHoldfastError(thrown);
  const [code] = thrown.metadata?.get(CODE_KEY) ?? [];
  const [remedy] = thrown.metadata?.get(REMEDY_KEY) ?? [];
  const known = typeof code === 'string' && isErrorCode(code);
  return new HoldfastError(
    known ? code : (CODE_OF_STATUS[thrown.code] ?? 'INTERNAL'),
    thrown.details || thrown.message,
    remedy === undefined ? '' : remedy.toString(),
    { cause: thrown },
  );
}

/** The same error with only our own trailers, for passing on what another server said. */
export function passOnGrpcError(error: ServiceError): ServiceError {
  const metadata = new Metadata();
  for (const key of [CODE_KEY, REMEDY_KEY]) {
    for (const value of error.metadata?.get(key) ?? []) metadata.add(key, value);
  }
  return Object.assign(new Error(error.message), { code: error.code, details: error.details, metadata });
}

export function toErrorDetail(thrown: unknown): ErrorDetail {
  const error = toHoldfastError(thrown);
  return { code: error.code, message: error.message, remedy: error.remedy };
}

/** An error a peer reported in a message; a code we do not know becomes INTERNAL. */
export function fromErrorDetail(detail: ErrorDetail, prefix = ''): HoldfastError {
  const code = isErrorCode(detail.code) ? detail.code : 'INTERNAL';
  return new HoldfastError(code, `${prefix}${detail.message}`, detail.remedy);
}
