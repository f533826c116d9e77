/** CoordinatorService as gRPC serves it: who calls, in which role, then the handler. Knows no method by name. */
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
import type { Context } from '../context';
import { requireRole } from './authorize';
import type { Call } from './handlers';
import { coordinatorHandlers } from './service';

type Method = MethodDefinition<unknown, unknown>;
type Handler = (argument: unknown) => Promise<unknown>;
type ServerCall =
  | ServerUnaryCall<unknown, unknown>
  | ServerWritableStream<unknown, unknown>
  | ServerReadableStream<unknown, unknown>;

/** Of one call. @throws HoldfastError UNAUTHENTICATED */
export type Identify = (call: AuthenticatedCall & { metadata: Metadata }) => Identity;

export function servedCoordinator(context: Context, identify: Identify): CoordinatorServiceServer {
  const methods = Object.entries(CoordinatorServiceService as Record<string, Method>);
  const handlers = methods.map(([name, method]) => [name, served(context, identify, name as Call, method)]);
  return Object.fromEntries(handlers) as unknown as CoordinatorServiceServer;
}

function served(context: Context, identify: Identify, name: Call, method: Method) {
  const work = async (call: ServerCall, argument: unknown): Promise<unknown> => {
    const identity = identify(call);
    const caller = { ...identity, role: await context.roles.of(identity.uid) };
    requireRole(caller, name);
    const handler = coordinatorHandlers(context, caller)[name] as Handler;
    return handler(argument);
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
