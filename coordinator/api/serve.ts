/**
 * CoordinatorService as gRPC serves it: who calls, in which role, then the handler, then the audit log. Knows no method
 * by name.
 */
import type {
  handleServerStreamingCall,
  handleUnaryCall,
  Metadata,
  MethodDefinition,
  ServerReadableStream,
  ServerUnaryCall,
  ServerWritableStream,
} from '@grpc/grpc-js';
import { toGrpcError } from '../../core/rpc/errors';
import type { Identity } from '../../core/rpc/identity';
import type { AuthenticatedCall } from '../../core/tls/peer';
import {
  type CoordinatorServiceServer,
  CoordinatorServiceService,
} from '../../proto/gen/holdfast/v1/coordinator';
import { type Asked, type AuditEntry, auditEntry, type Came, type Via } from '../audit/entry';
import type { Context } from '../context';
import { type Caller, requireRole } from './authorize';
import type { Call, Handlers } from './handlers';
import { FloodError } from './limits';
import { coordinatorHandlers } from './service';

type Method = MethodDefinition<unknown, unknown>;
type Handler = (argument: unknown) => Promise<unknown>;
type ServerCall =
  | ServerUnaryCall<unknown, unknown>
  | ServerWritableStream<unknown, unknown>
  | ServerReadableStream<unknown, unknown>;

export interface IdentifiedCall extends AuthenticatedCall {
  readonly metadata: Metadata;
}

/**
 * Of one call.
 * @param request its encoded message; null: a stream
 * @throws HoldfastError UNAUTHENTICATED
 */
export type Identify = (
  call: IdentifiedCall,
  method: string,
  request: () => Uint8Array | null,
) => Identity | Promise<Identity>;

/** What stands before every handler. */
export type Guard = Pick<Context, 'audit' | 'clock' | 'limits' | 'roles'>;

export interface Served {
  readonly guard: Guard;
  /** As of the moment of the call. */
  readonly handlers: (caller: Caller) => Handlers;
}

export const servedBy = (context: Context): Served => ({
  guard: context,
  handlers: (caller) => coordinatorHandlers(context, caller),
});

export function servedCoordinator(what: Served, via: Via, identify: Identify): CoordinatorServiceServer {
  const methods = Object.entries(CoordinatorServiceService as Record<string, Method>);
  const handlers = methods.map(([name, method]) => [name, served(what, via, identify, name as Call, method)]);
  return Object.fromEntries(handlers) as unknown as CoordinatorServiceServer;
}

function served({ guard, handlers }: Served, via: Via, identify: Identify, name: Call, method: Method) {
  const work = async (call: ServerCall, argument: unknown): Promise<unknown> => {
    let identity: Identity | null = null;
    let end = () => {};
    const outcome = (came: Came<Call>) => {
      const request = method.requestStream ? undefined : (call as { request?: unknown }).request;
      const asked = { call: name, request, via, identity, peer: call.getPeer() } as Asked<Call>;
      const entry = auditEntry(asked, came, guard.clock.wallMs());
      if (entry !== null) tell(guard, entry);
    };
    try {
      const encoded = () =>
        method.requestStream ? null : method.requestSerialize((call as { request?: unknown }).request);
      identity = await identify(call, method.path, encoded);
      const caller = { ...identity, role: await guard.roles.of(identity.uid) };
      end = guard.limits.begin(caller, name);
      requireRole(caller, name);
      const handler = handlers(caller)[name] as Handler;
      const response = await handler(argument);
      // A watch has only begun.
      if (method.responseStream) whenOver(call as ServerWritableStream<unknown, unknown>, end);
      else end();
      outcome({ response: response as never });
      return response;
    } catch (thrown) {
      end();
      if (isTold(guard, identity, thrown)) outcome({ thrown });
      throw thrown;
    }
  };
  const streaming: handleServerStreamingCall<unknown, unknown> = (call) => {
    work(call, call).catch((thrown) => call.emit('error', toGrpcError(thrown)));
  };
  // An upload is answered in the same way: once.
  const single: handleUnaryCall<unknown, unknown> = (call, callback) => {
    work(call, method.requestStream ? call : call.request).then(
      (response) => callback(null, response),
      (thrown) => callback(toGrpcError(thrown)),
    );
  };
  return method.responseStream ? streaming : single;
}

function whenOver(call: ServerWritableStream<unknown, unknown>, end: () => void): void {
  for (const event of ['finish', 'cancelled', 'error', 'close']) call.once(event, end);
  if (call.cancelled || call.writableFinished) end();
}

/** Who makes many calls that are refused does not fill the audit log with them. */
function isTold({ limits }: Guard, identity: Identity | null, thrown: unknown): boolean {
  if (thrown instanceof FloodError) return thrown.isTold;
  return identity !== null || limits.tellsOfStranger();
}

/** With the user's name, as far as it is known here. */
function tell({ audit, roles }: Guard, entry: AuditEntry): void {
  if (entry.uid === null) audit.record(entry);
  else
    audit.recordWith(
      entry,
      roles.user(entry.uid).then((user) => user?.name ?? null),
    );
}
