/** Streams of bytes through an agent's forwarding, both ways: no faster than they are taken, and ended from either end. */
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { credentials, Metadata, Server, ServerCredentials } from '@grpc/grpc-js';
import { upload } from '../../cli/client/upload';
import { HoldfastError } from '../../core/errors';
import { fromGrpcError, toGrpcError } from '../../core/rpc/errors';
import { forwardingHandlers } from '../../core/rpc/forward';
import { identityFromMetadata } from '../../core/rpc/identity';
import { serveTools, service as serviceOf, type ToolsServer } from '../../core/rpc/tools';
import { peerCredentials } from '../../native';
import {
  CoordinatorServiceClient,
  type CoordinatorServiceServer,
  CoordinatorServiceService,
  ImportResponse,
} from '../../proto/gen/holdfast/v1/coordinator';

const MIB = 2 ** 20;
/** What the windows, buffers and sockets of two connections may hold, far below what is sent. */
const IN_FLIGHT_BYTES = 32 * MIB;
const SENT_BYTES = 128 * MIB;
const PIECE = Buffer.alloc(MIB / 4, 7);

let directory: string;
let server: Server;
let upstream: CoordinatorServiceClient;
let tools: ToolsServer;
let client: CoordinatorServiceClient;
let importing: CoordinatorServiceServer['import'];
let exporting: CoordinatorServiceServer['export'];

beforeAll(async () => {
  directory = await mkdtemp('/tmp/hf-rpc-');
  server = new Server();
  const service: Partial<CoordinatorServiceServer> = {
    import: (call, callback) => importing(call, callback),
    export: (call) => exporting(call),
  };
  server.addService(CoordinatorServiceService, service as CoordinatorServiceServer);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  upstream = new CoordinatorServiceClient(`127.0.0.1:${port}`, credentials.createInsecure());
  const socketPath = join(directory, 'agent.sock');
  tools = await serveTools({
    ...{ socketPath, peerCredentials, node: 'n1' },
    services: (identity) => [
      serviceOf(CoordinatorServiceService, forwardingHandlers(upstream, { ...identity, node: 'n1' })),
    ],
  });
  client = new CoordinatorServiceClient(`unix:${socketPath}`, credentials.createInsecure());
});

afterAll(async () => {
  client.close();
  await tools.close();
  upstream.close();
  server.forceShutdown();
  await rm(directory, { recursive: true, force: true });
});

/** Until a number has not grown for many turns of the event loop, with all sockets served in between. */
async function settled(read: () => number): Promise<number> {
  for (let last = read(), quiet = 0; ; ) {
    await turn();
    quiet = read() === last ? quiet + 1 : 0;
    last = read();
    if (quiet > 3000) return last;
  }
}

test('an upload waits for its reader, arrives whole, and its caller is known', async () => {
  let begin: () => void = () => {};
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  importing = async (call, callback) => {
    expect(identityFromMetadata(call.metadata)).toMatchObject({ uid: process.getuid?.(), node: 'n1' });
    await begun;
    let totalBytes = 0;
    for await (const { data } of call) totalBytes += data.length;
    callback(null, ImportResponse.fromPartial({ totalBytes }));
  };
  let taken = 0;
  async function* source() {
    for (; taken < SENT_BYTES; taken += PIECE.length) yield PIECE;
  }
  const answer = upload(client, new Metadata(), source(), fromGrpcError);
  const ahead = await settled(() => taken);
  expect(ahead).toBeGreaterThan(0);
  expect(ahead).toBeLessThan(IN_FLIGHT_BYTES);
  begin();
  expect((await answer).totalBytes).toBe(SENT_BYTES);
});

test('an upload that is refused on the way ends at once, though its source would go on for ever', async () => {
  importing = (call, callback) => {
    call.once('data', () => callback(toGrpcError(new HoldfastError('CORRUPT', 'no', 'again'))));
  };
  async function* endless() {
    for (;;) yield PIECE;
  }
  await expect(upload(client, new Metadata(), endless(), fromGrpcError)).rejects.toMatchObject({
    code: 'CORRUPT',
    remedy: 'again',
  });
  // Also when nothing more comes from the source.
  async function* stuck() {
    yield PIECE;
    await new Promise(() => {});
  }
  await expect(upload(client, new Metadata(), stuck(), fromGrpcError)).rejects.toMatchObject({
    code: 'CORRUPT',
  });
});

test('what was sent is not kept until the answer', async () => {
  const COUNT = 600;
  let receivedAll: () => void = () => {};
  const arrived = new Promise<void>((resolve) => {
    receivedAll = resolve;
  });
  importing = async (call, callback) => {
    for (let left = COUNT * PIECE.length; left > 0; ) {
      const { data } = await new Promise<{ data: Uint8Array }>((resolve) => {
        call.once('data', (message) => {
          call.pause();
          resolve(message);
        });
        call.resume();
      });
      left -= data.length;
    }
    receivedAll();
    await collected;
    callback(null, ImportResponse.fromPartial({}));
  };
  let goOn: () => void = () => {};
  const collected = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const pieces: WeakRef<Buffer>[] = [];
  async function* source() {
    for (let number = 0; number < COUNT; number++) {
      const piece = Buffer.alloc(PIECE.length, number);
      pieces.push(new WeakRef(piece));
      yield piece;
    }
    await collected;
  }
  const answer = upload(client, new Metadata(), source(), fromGrpcError);
  await arrived;
  // A reference that was looked at in this turn of the event loop keeps its target until the next one.
  await turn();
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  expect(pieces.filter((piece) => piece.deref() !== undefined).length).toBeLessThan(COUNT / 4);
  goOn();
  await answer;
});

test('a source that fails cancels the upload at the coordinator', async () => {
  const cancelled = new Promise<void>((resolve) => {
    importing = (call) => {
      call.on('cancelled', resolve);
      call.on('error', () => {});
      call.resume();
    };
  });
  async function* broken() {
    yield PIECE;
    throw new Error('no more');
  }
  await expect(upload(client, new Metadata(), broken(), fromGrpcError)).rejects.toThrow('no more');
  await cancelled;
});

test('a download waits for its reader, and arrives whole', async () => {
  let sent = 0;
  exporting = async (call) => {
    while (sent < SENT_BYTES) {
      sent += PIECE.length;
      if (!call.write({ part: { $case: 'data', value: PIECE } })) {
        await new Promise((resolve) => call.once('drain', resolve));
      }
    }
    call.end();
  };
  const stream = client.export({ ckptId: 1 }, new Metadata());
  await new Promise((resolve) => stream.once('readable', resolve));
  const ahead = await settled(() => sent);
  expect(ahead).toBeLessThan(IN_FLIGHT_BYTES);
  let received = 0;
  for await (const { part } of stream) received += part.value.length;
  expect(received).toBe(SENT_BYTES);
});
