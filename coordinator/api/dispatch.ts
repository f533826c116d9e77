/** CoordinatorService of whatever this coordinator is at the moment of the call: the leader, or one that stands by. */
import type { handleServerStreamingCall, handleUnaryCall, Metadata, ServiceError } from '@grpc/grpc-js';
import type { HoldfastError } from '../../core/errors';
import { toGrpcError } from '../../core/rpc/errors';
import type { Identity } from '../../core/rpc/identity';
import type { AuthenticatedCall } from '../../core/tls/peer';
import {
  type CoordinatorServiceServer,
  CoordinatorServiceService,
} from '../../proto/gen/holdfast/v1/coordinator';
import type { Signal } from '../signal';

export interface Serving {
  readonly service: (identity: Identity) => CoordinatorServiceServer;
  /** It is nothing of that kind any more: streams that are open end with the error. */
  readonly over: Signal<HoldfastError>;
}

type Unary = handleUnaryCall<unknown, unknown>;
type Streaming = handleServerStreamingCall<unknown, unknown>;
type Call = AuthenticatedCall & { metadata: Metadata };

/** @param callerOf throws when nobody is known */
export function dispatching(
  serving: () => Serving,
  callerOf: (call: Call) => Identity,
): CoordinatorServiceServer {
  const handlers = Object.entries(CoordinatorServiceService).map(([name, method]) => {
    const handlerFor = (call: Call, now: Serving): unknown =>
      now.service(callerOf(call))[name as keyof typeof CoordinatorServiceService];
    // An upload is answered in the same way: once.
    const unary: Unary = (call, callback) => {
      const handle = attempt(() => handlerFor(call as unknown as Call, serving()) as Unary, callback);
      handle?.(call, callback);
    };
    const streaming: Streaming = (call) => {
      const fail = (error: ServiceError) => call.emit('error', error);
      const now = serving();
      const handle = attempt(() => handlerFor(call as unknown as Call, now) as Streaming, fail);
      if (handle === null) return;
      const stop = now.over.subscribe((error) => fail(toGrpcError(error)));
      for (const end of ['cancelled', 'error', 'finish'] as const) call.on(end, stop);
      handle(call);
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
