/** A coordinator made of a test's own handlers, on a real UNIX socket with the real protocol. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  Server,
  ServerCredentials,
  type ServerReadableStream,
  type ServerWritableStream,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { HoldfastError } from '../../../../core/errors';
import { toGrpcError } from '../../../../core/rpc/errors';
import {
  type CoordinatorServiceServer,
  CoordinatorServiceService,
  type ExportRequest,
  type ExportResponse,
  type ImportRequest,
  type ImportResponse,
  type WatchRequest,
  type WatchResponse,
} from '../../../../proto/gen/holdfast/v1/coordinator';

type Methods = typeof CoordinatorServiceService;
type UnaryName = Exclude<keyof Methods, 'watch' | 'export' | 'import'>;
type Request<K extends UnaryName> = Parameters<Methods[K]['requestSerialize']>[0];
type Response<K extends UnaryName> = ReturnType<Methods[K]['responseDeserialize']>;

export type Event = NonNullable<WatchResponse['event']>;
export type Watcher = (subject: WatchRequest['subject'], stream: WatchStream) => void;

export interface WatchStream {
  send(event: Event): void;
  end(): void;
  fail(error: HoldfastError): void;
}

export type Handlers = {
  [K in UnaryName]?: (request: Request<K>) => Response<K> | Promise<Response<K>>;
} & {
  watch?: Watcher;
  export?: (ckptId: number) => Iterable<ExportResponse['part']>;
  import?: (stream: Buffer) => ImportResponse;
};

export interface FakeCoordinator {
  readonly socketPath: string;
  /** Names of the methods that were called, in order. */
  readonly calls: string[];
  /** Replaces handlers. */
  on(handlers: Handlers): void;
  close(): void;
}

function watchStream(call: ServerWritableStream<WatchRequest, WatchResponse>): WatchStream {
  return {
    send: (event) => call.write({ timeMs: Date.now(), event, eventId: '', gap: false }),
    end: () => call.end(),
    fail: (error) => call.emit('error', toGrpcError(error)),
  };
}

export async function startCoordinator(): Promise<FakeCoordinator> {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-fake-'));
  const socketPath = join(directory, 'tools.sock');
  const calls: string[] = [];
  let handlers: Handlers = {};
  const server = new Server();
  const names = Object.keys(CoordinatorServiceService) as (keyof Methods)[];
  const unary =
    (name: UnaryName) => async (call: { request: never }, callback: (...args: unknown[]) => void) => {
      calls.push(name);
      try {
        const handler = handlers[name] as ((request: never) => unknown) | undefined;
        if (!handler) throw new HoldfastError('INTERNAL', `the test did not expect ${name}`);
        callback(null, await handler(call.request));
      } catch (thrown) {
        callback(toGrpcError(thrown));
      }
    };
  const watch = (call: ServerWritableStream<WatchRequest, WatchResponse>) => {
    calls.push('watch');
    handlers.watch?.(call.request.subject, watchStream(call));
  };
  const exporting = (call: ServerWritableStream<ExportRequest, ExportResponse>) => {
    calls.push('export');
    try {
      for (const part of handlers.export?.(call.request.ckptId) ?? []) call.write({ part });
      call.end();
    } catch (thrown) {
      call.emit('error', toGrpcError(thrown));
    }
  };
  const importing = async (
    call: ServerReadableStream<ImportRequest, ImportResponse>,
    callback: sendUnaryData<ImportResponse>,
  ) => {
    calls.push('import');
    try {
      const pieces: Uint8Array[] = [];
      for await (const { data } of call) pieces.push(data);
      if (!handlers.import) throw new HoldfastError('INTERNAL', 'the test did not expect import');
      callback(null, handlers.import(Buffer.concat(pieces)));
    } catch (thrown) {
      callback(toGrpcError(thrown));
    }
  };
  const streaming: Partial<Record<keyof Methods, unknown>> = {
    watch,
    export: exporting,
    import: importing,
  };
  const service = Object.fromEntries(
    names.map((name) => [name, streaming[name] ?? unary(name as UnaryName)]),
  ) as unknown as CoordinatorServiceServer;
  server.addService(CoordinatorServiceService, service);
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${socketPath}`, ServerCredentials.createInsecure(), (error) =>
      error ? reject(error) : resolve(),
    );
  });
  return {
    socketPath,
    calls,
    on: (next) => {
      handlers = next;
      calls.length = 0;
    },
    close: () => {
      server.forceShutdown();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
