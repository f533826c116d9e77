/** The local tools' calls, passed on to the coordinator with the caller's identity. Knows no method by name. */
import type {
  ClientReadableStream,
  handleClientStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  Metadata,
  MethodDefinition,
  ServerWritableStream,
  ServiceError,
} from '@grpc/grpc-js';
import {
  type CoordinatorServiceClient,
  type CoordinatorServiceServer,
  CoordinatorServiceService,
} from '../../proto/gen/holdfast/v1/coordinator';
import { passOnGrpcError } from './errors';
import { type Identity, identityMetadata } from './identity';

type Method = MethodDefinition<unknown, unknown>;

/** Deadlines, cancellation and errors pass through; messages are decoded and encoded but not looked at. */
export function forwardingHandlers(
  client: () => CoordinatorServiceClient,
  identity: Identity & { node: string },
): CoordinatorServiceServer {
  const handlers = Object.entries(CoordinatorServiceService as Record<string, Method>).map(
    ([name, method]) => {
      const forward = forwardFor(method);
      return [name, forward(client, method, () => identityMetadata(identity))];
    },
  );
  return Object.fromEntries(handlers) as unknown as CoordinatorServiceServer;
}

function forwardFor({ requestStream, responseStream }: Method) {
  if (requestStream) return forwardUpload;
  return responseStream ? forwardStream : forwardUnary;
}

function forwardUnary(
  client: () => CoordinatorServiceClient,
  method: Method,
  metadata: () => Metadata,
): handleUnaryCall<unknown, unknown> {
  return (call, callback) => {
    const inner = client().makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      call.request,
      metadata(),
      { deadline: call.getDeadline() },
      (error, response) => (error ? callback(passOnGrpcError(error)) : callback(null, response)),
    );
    call.on('cancelled', () => inner.cancel());
  };
}

function forwardStream(
  client: () => CoordinatorServiceClient,
  method: Method,
  metadata: () => Metadata,
): handleServerStreamingCall<unknown, unknown> {
  return (call) => {
    const inner = client().makeServerStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      call.request,
      metadata(),
      { deadline: call.getDeadline() },
    );
    copyStream(inner, call);
  };
}

function forwardUpload(
  client: () => CoordinatorServiceClient,
  method: Method,
  metadata: () => Metadata,
): handleClientStreamingCall<unknown, unknown> {
  return (call, callback) => {
    const inner = client().makeClientStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      metadata(),
      { deadline: call.getDeadline() },
      (error, response) => (error ? callback(passOnGrpcError(error)) : callback(null, response)),
    );
    call.on('data', (message) => {
      if (!inner.write(message)) call.pause();
    });
    inner.on('drain', () => call.resume());
    call.on('end', () => inner.end());
    call.on('cancelled', () => inner.cancel());
    // Told by the callback above, or by 'cancelled'.
    call.on('error', () => inner.cancel());
    inner.on('error', () => undefined);
  };
}

function copyStream(
  inner: ClientReadableStream<unknown>,
  call: ServerWritableStream<unknown, unknown>,
): void {
  inner.on('data', (message) => {
    if (!call.write(message)) inner.pause();
  });
  call.on('drain', () => inner.resume());
  call.on('cancelled', () => inner.cancel());
  inner.on('end', () => call.end());
  inner.on('error', (error: ServiceError) => {
    if (!call.cancelled) call.emit('error', passOnGrpcError(error));
  });
}
