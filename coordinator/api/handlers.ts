/** The calls of CoordinatorService, each as an async function: errors are thrown, streams end when it resolves. */
import type { ServerReadableStream, ServerWritableStream } from '@grpc/grpc-js';
import type { CoordinatorServiceService } from '../../proto/gen/holdfast/v1/coordinator';

type Methods = typeof CoordinatorServiceService;

export type Call = keyof Methods;
export type Request<C extends Call> = Parameters<Methods[C]['requestSerialize']>[0];
export type Response<C extends Call> = ReturnType<Methods[C]['responseDeserialize']>;

type Streaming = 'watch' | 'export';
type Upload = 'import';

export type Handlers = {
  readonly [C in Exclude<Call, Streaming | Upload>]: (request: Request<C>) => Promise<Response<C>>;
} & {
  readonly [C in Streaming]: (call: ServerWritableStream<Request<C>, Response<C>>) => Promise<void>;
} & {
  readonly [C in Upload]: (call: ServerReadableStream<Request<C>, Response<C>>) => Promise<Response<C>>;
};
