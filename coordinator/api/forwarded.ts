/** CoordinatorService on the TCP port: calls that agents forward, each under the identity in its metadata. */
import type { handleServerStreamingCall, handleUnaryCall, Metadata, ServiceError } from '@grpc/grpc-js';
import { HoldfastError } from '../../core/errors';
import { toGrpcError } from '../../core/rpc/errors';
import { type Identity, identityFromMetadata } from '../../core/rpc/identity';
import { type AuthenticatedCall, nodeNameOf } from '../../core/tls/peer';
import {
  type CoordinatorServiceServer,
  CoordinatorServiceService,
} from '../../proto/gen/holdfast/v1/coordinator';
import type { Context } from '../context';
import { coordinatorService } from './service';

type Unary = handleUnaryCall<unknown, unknown>;
type Streaming = handleServerStreamingCall<unknown, unknown>;
type Method = keyof typeof CoordinatorServiceService;

/** @param isInsecure without TLS, on loopback: the metadata's node is believed */
export function forwardedService(context: Context, isInsecure: boolean): CoordinatorServiceServer {
  const handlers = Object.entries(CoordinatorServiceService).map(([name, method]) => {
    const handlerFor = (call: AuthenticatedCall & { metadata: Metadata }): unknown =>
      coordinatorService(context, callerOf(call, isInsecure))[name as Method];
    // An upload is answered in the same way: once.
    const unary: Unary = (call, callback) => {
      const handle = attempt(() => handlerFor(call) as Unary, callback);
      handle?.(call, callback);
    };
    const streaming: Streaming = (call) => {
      const handle = attempt(
        () => handlerFor(call) as Streaming,
        (error) => call.emit('error', error),
      );
      handle?.(call);
    };
    return [name, method.responseStream ? streaming : unary];
  });
  return Object.fromEntries(handlers) as unknown as CoordinatorServiceServer;
}

function attempt<T>(find: () => T, refuse: (error: ServiceError) => void): T | null {
  try {
    return find();
  } catch (thrown) {
    refuse(toGrpcError(thrown));
    return null;
  }
}

/** The node is the certificate's; only then is the uid it vouches for believed. */
function callerOf(call: AuthenticatedCall & { metadata: Metadata }, isInsecure: boolean): Identity {
  const identity = identityFromMetadata(call.metadata);
  if (isInsecure) return identity;
  const node = nodeNameOf(call);
  if (node === identity.node) return identity;
  throw new HoldfastError(
    'UNAUTHENTICATED',
    `node ${node} forwards a call as if it were node ${identity.node}`,
  );
}
