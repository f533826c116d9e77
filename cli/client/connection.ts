/**
 * Typed calls to the coordinator service. gRPC is loaded here, on the first connection,
 * and nowhere else: commands that call nobody start without it.
 */

import type * as Grpc from '@grpc/grpc-js';
import type * as Channel from '../../core/rpc/channel';
import type * as Rpc from '../../core/rpc/errors';
import type * as Generated from '../../proto/gen/holdfast/v1/coordinator';
import type {
  CoordinatorServiceService,
  ExportResponse,
  ImportResponse,
  WatchRequest,
  WatchResponse,
} from '../../proto/gen/holdfast/v1/coordinator';
import { chooseTarget, type TargetOptions } from './target';
import { upload } from './upload';

type Methods = typeof CoordinatorServiceService;
export type UnaryName = Exclude<keyof Methods, 'watch' | 'export' | 'import'>;
export type Request<K extends UnaryName> = Parameters<Methods[K]['requestSerialize']>[0];
export type Response<K extends UnaryName> = ReturnType<Methods[K]['responseDeserialize']>;
export type Subject = NonNullable<WatchRequest['subject']>;

/** Long enough for a coordinator that waits for an agent's answer, short enough for a person. */
const CALL_TIMEOUT_MS = 120_000;

export interface CallOptions {
  /** Infinity waits as long as the answer takes. */
  readonly timeoutMs?: number;
}

export interface Connection {
  /** Of the agent (or coordinator) of this node; null: the coordinator is called directly. */
  readonly socketPath: string | null;
  /** Rejects with a HoldfastError. */
  call<K extends UnaryName>(name: K, request: Request<K>, options?: CallOptions): Promise<Response<K>>;
  /**
   * Events until the server ends the stream; throws a HoldfastError when it breaks. Leaving the loop cancels.
   * @param after eventId of the last event that was seen; '' begins with the present state
   */
  watch(subject: Subject, after?: string, signal?: AbortSignal): AsyncIterable<WatchResponse>;
  /** The parts of an export as they come, no faster than they are taken. Leaving the loop cancels. */
  export(ckptId: number): AsyncIterable<ExportResponse>;
  /** Sends the stream no faster than it is taken. Rejects with a HoldfastError, or with what the source throws. */
  import(source: AsyncIterable<Uint8Array>): Promise<ImportResponse>;
  close(): void;
}

/** @throws HoldfastError as chooseTarget */
export async function connect(options: TargetOptions): Promise<Connection> {
  const target = await chooseTarget(options);
  const generated = require('../../proto/gen/holdfast/v1/coordinator') as typeof Generated;
  const { fromGrpcError } = require('../../core/rpc/errors') as typeof Rpc;
  const { MAX_MESSAGE_BYTES } = require('../../core/rpc/channel') as typeof Channel;

  const client = new generated.CoordinatorServiceClient(target.address, target.credentials, {
    ...target.channel,
    // All jobs of a large cluster are more than the library takes by itself.
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    // An agent that restarts is back within seconds; the default pause grows to two minutes.
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 2000,
  });

  const {
    export: exportMethod,
    import: importMethod,
    watch: watchMethod,
  } = generated.CoordinatorServiceService;
  return {
    socketPath: target.socketPath,
    call: async (name, request, options) => {
      const method = generated.CoordinatorServiceService[name] as unknown as Grpc.MethodDefinition<
        Request<typeof name>,
        Response<typeof name>
      >;
      const metadata = await target.metadataFor(method.path, method.requestSerialize(request));
      const deadline = Date.now() + (options?.timeoutMs ?? CALL_TIMEOUT_MS);
      return new Promise((resolve, reject) => {
        client.makeUnaryRequest(
          method.path,
          method.requestSerialize,
          method.responseDeserialize,
          request,
          metadata,
          { deadline },
          (error, response) => {
            if (error || response === undefined) reject(fromGrpcError(error));
            else resolve(response);
          },
        );
      });
    },
    async *export(ckptId) {
      const request = { ckptId };
      const encoded = exportMethod.requestSerialize(request);
      const stream = client.export(request, await target.metadataFor(exportMethod.path, encoded));
      try {
        for await (const part of stream) yield part as ExportResponse;
      } catch (error) {
        throw fromGrpcError(error);
      } finally {
        stream.cancel();
      }
    },
    import: async (source) =>
      upload(client, await target.metadataFor(importMethod.path, null), source, fromGrpcError),
    async *watch(subject, after = '', signal) {
      const request = { subject, after };
      const encoded = watchMethod.requestSerialize(request);
      const stream = client.watch(request, await target.metadataFor(watchMethod.path, encoded));
      const cancel = () => stream.cancel();
      signal?.addEventListener('abort', cancel);
      try {
        for await (const event of stream) yield event as WatchResponse;
      } catch (error) {
        if (!signal?.aborted) throw fromGrpcError(error);
      } finally {
        signal?.removeEventListener('abort', cancel);
        stream.cancel();
      }
    },
    close: () => client.close(),
  };
}
