/** One line of the audit log: who, what, and what came of it. Pure. */
import { type ErrorCode, toHoldfastError } from '../../core/errors';
import type { Identity } from '../../core/rpc/identity';
import { withoutSecrets } from '../../core/secrets';
import type { Call, Request, Response } from '../api/handlers';
import { AUDITED } from './subject';

/** How a caller is known: its node's agent vouches for it, the kernel on the coordinator's own socket, or MUNGE. */
export type Via = 'agent' | 'socket' | 'munge';

export interface AuditEntry {
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly call: string;
  /** `ok`, or the code of the error. */
  readonly outcome: 'ok' | ErrorCode;
  readonly uid: number | null;
  readonly [field: string]: unknown;
}

export interface Asked<C extends Call> {
  readonly call: C;
  /** undefined: of an upload. */
  readonly request: Request<C> | undefined;
  readonly via: Via;
  /** null: it is not known who asked. */
  readonly identity: Identity | null;
  readonly peer: string;
}

export type Came<C extends Call> =
  | { readonly response: Response<C> | undefined }
  | { readonly thrown: unknown };

const REFUSALS: ReadonlySet<ErrorCode> = new Set(['PERMISSION_DENIED', 'UNAUTHENTICATED', 'LIMIT_EXCEEDED']);

/** @returns null for what only looked, and was allowed */
export function auditEntry<C extends Call>(asked: Asked<C>, came: Came<C>, nowMs: number): AuditEntry | null {
  const { call, request, via, identity, peer } = asked;
  const audited = AUDITED[call];
  const error = 'thrown' in came ? toHoldfastError(came.thrown) : null;
  if (!audited.isAlways && (error === null || !REFUSALS.has(error.code))) return null;
  const result = 'response' in came && came.response !== undefined ? audited.result?.(came.response) : {};
  return {
    time: new Date(nowMs).toISOString(),
    ...{ call, outcome: error?.code ?? 'ok', uid: identity?.uid ?? null, via, peer },
    ...{ node: identity?.node ?? null, pid: identity?.pid ?? null },
    ...(request === undefined ? {} : audited.of(request)),
    ...result,
    ...(error === null ? {} : { error: withoutSecrets(error.message) }),
  };
}
