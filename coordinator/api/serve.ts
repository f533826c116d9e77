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

/** Of one call. @throws HoldfastError UNAUTHENTICATED */
export type Identify = (call: AuthenticatedCall & { metadata: Metadata }) => Identity;

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
      identity = identify(call);
      const caller = { ...identity, role: await guard.roles.of(identity.uid) };
      end = guard.limits.begin(caller, name);
      requireRole(caller, name);
      const handler = handlers(caller)[name] as Handler;
      const response = await handler(argument);
      outcome({ response: response as never });
      return response;
    } catch (thrown) {
      if (!(thrown instanceof FloodError) || thrown.isTold) outcome({ thrown });
      throw thrown;
    } finally {
      end();
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

/** With the user's name, as far as it is known here. */
function tell({ audit, roles }: Guard, entry: AuditEntry): void {
  if (entry.uid === null) audit.record(entry);
  else
    audit.recordWith(
      entry,
      roles.user(entry.uid).then((user) => user?.name ?? null),
    );
}
