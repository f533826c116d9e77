/** From an async function to a gRPC handler, and from a gRPC client method to a promise. */
import type {
  Client,
  ClientUnaryCall,
  handleUnaryCall,
  Metadata,
  ServerUnaryCall,
  ServiceError,
} from '@grpc/grpc-js';
import { fromGrpcError, toGrpcError } from './errors';

export function unary<Request, Response>(
  handle: (request: Request, call: ServerUnaryCall<Request, Response>) => Promise<Response>,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    // A synchronous throw inside handle must become an answer as well.
    Promise.resolve()
      .then(() => handle(call.request, call))
      .then(
        (response) => callback(null, response),
        (thrown) => callback(toGrpcError(thrown)),
      );
  };
}

type UnaryMethod<Request, Response> = (
  request: Request,
  metadata: Metadata,
  options: { deadline?: Date },
  callback: (error: ServiceError | null, response: Response) => void,
) => ClientUnaryCall;

/**
 * `invoke(client, client.getJob, request)`.
 * @throws HoldfastError as the server reported it, or COORDINATOR_UNAVAILABLE, TIMEOUT
 */
export function invoke<Request, Response>(
  client: Client,
  method: UnaryMethod<Request, Response>,
  request: Request,
  options: { metadata: Metadata; timeoutMs?: number },
): Promise<Response> {
  const deadline =
    options.timeoutMs === undefined ? {} : { deadline: new Date(Date.now() + options.timeoutMs) };
  return new Promise((resolve, reject) => {
    method.call(client, request, options.metadata, deadline, (error, response) => {
      if (error === null) resolve(response);
      else reject(fromGrpcError(error));
    });
  });
}
