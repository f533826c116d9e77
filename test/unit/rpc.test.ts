/** The tools' socket and the calls that an agent forwards. */
import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  credentials,
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
} from '@grpc/grpc-js';
import { HoldfastError } from '../../core/errors';
import { fromErrorDetail, fromGrpcError, toErrorDetail, toGrpcError } from '../../core/rpc/errors';
import { forwardingHandlers } from '../../core/rpc/forward';
import { invoke } from '../../core/rpc/handlers';
import { type Identity, identityFromMetadata } from '../../core/rpc/identity';
import { serveTools, service, type ToolsServer } from '../../core/rpc/tools';
import { peerCredentials } from '../../native';
import {
  CoordinatorServiceClient,
  type CoordinatorServiceServer,
  CoordinatorServiceService,
} from '../../proto/gen/holdfast/v1/coordinator';

const run = promisify(execFile);

let directory: string;
let socketPath: string;
let server: Server;
let upstream: CoordinatorServiceClient;
let tools: ToolsServer;
let client: CoordinatorServiceClient;
const seen: Identity[] = [];
let watchCancelled: () => void = () => {};

function unary<Request, Response>(
  handle: (request: Request, call: ServerUnaryCall<Request, Response>) => Promise<Response>,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    handle(call.request, call).then(
      (response) => callback(null, response),
      (thrown) => callback(toGrpcError(thrown)),
    );
  };
}

/** A coordinator that notes who calls. */
const stub: Partial<CoordinatorServiceServer> = {
  listJobs: unary(async (_, call) => {
    seen.push(identityFromMetadata(call.metadata));
    return { jobs: [], untracked: [] };
  }),
  getJob: unary(async ({ job }) => {
    throw new HoldfastError('FILE_CHANGED', `job ${job}: größer`, 'put it back — ünchanged');
  }),
  watch: (call) => {
    for (let i = 0; i < 3; i++) call.write({ timeMs: i, event: undefined, eventId: '', gap: false });
    call.on('cancelled', () => watchCancelled());
    if (call.request.subject?.value === 'short') call.end();
  },
};

beforeAll(async () => {
  directory = await mkdtemp('/tmp/hf-rpc-');
  await chmod(directory, 0o755);
  socketPath = join(directory, 'run', 'agent.sock');
  server = new Server();
  server.addService(CoordinatorServiceService, stub as CoordinatorServiceServer);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  upstream = new CoordinatorServiceClient(`127.0.0.1:${port}`, credentials.createInsecure());
  tools = await serve();
  client = new CoordinatorServiceClient(`unix:${socketPath}`, credentials.createInsecure());
});

afterAll(async () => {
  client.close();
  await tools.close();
  upstream.close();
  server.forceShutdown();
  await rm(directory, { recursive: true, force: true });
});

function serve(path = socketPath): Promise<ToolsServer> {
  return serveTools({
    socketPath: path,
    peerCredentials,
    node: 'n1',
    services: (identity) => [
      service(
        CoordinatorServiceService,
        forwardingHandlers(() => upstream, { ...identity, node: 'n1' }),
      ),
    ],
  });
}

test('the caller is known by the kernel, whatever it says', async () => {
  const lies = new Metadata();
  lies.set('holdfast-uid', '4321');
  await invoke(client, client.listJobs, { all: false }, { metadata: lies });
  expect(seen.at(-1)).toEqual({
    uid: process.getuid?.(),
    gid: process.getgid?.(),
    pid: process.pid,
    node: 'n1',
  });
});

test('another user is another identity, at the same time', async () => {
  const script = `
    const grpc = require(${JSON.stringify(require.resolve('@grpc/grpc-js'))});
    const client = new grpc.Client('unix:${socketPath}', grpc.credentials.createInsecure());
    const bytes = (value) => value;
    client.makeUnaryRequest('/holdfast.v1.CoordinatorService/ListJobs', bytes, bytes, Buffer.alloc(0), (error) => {
      console.log(error ? error.message : 'answered');
      client.close();
    });`;
  const { stdout } = await run(process.execPath, ['-e', script], { uid: 65534, gid: 65534, cwd: '/' });
  expect(stdout.trim()).toBe('answered');
  expect(seen.at(-1)).toMatchObject({ uid: 65534, gid: 65534 });
  await invoke(client, client.listJobs, { all: false }, { metadata: new Metadata() });
  expect(seen.at(-1)).toMatchObject({ uid: 0 });
});

test('an error passes through with code, message and remedy', async () => {
  await expect(
    invoke(client, client.getJob, { job: 'j' }, { metadata: new Metadata() }),
  ).rejects.toMatchObject({
    name: 'HoldfastError',
    code: 'FILE_CHANGED',
    message: 'job j: größer',
    remedy: 'put it back — ünchanged',
  });
});

test('a method the coordinator does not have, a deadline, and a coordinator that is gone', async () => {
  const metadata = new Metadata();
  await expect(invoke(client, client.listNodes, {}, { metadata })).rejects.toMatchObject({
    code: 'INTERNAL',
  });
  const gone = new CoordinatorServiceClient('127.0.0.1:1', credentials.createInsecure());
  const path = join(directory, 'gone.sock');
  const lonely = await serveTools({
    socketPath: path,
    peerCredentials,
    node: 'n1',
    services: (identity) => [
      service(
        CoordinatorServiceService,
        forwardingHandlers(() => gone, { ...identity, node: 'n1' }),
      ),
    ],
  });
  const caller = new CoordinatorServiceClient(`unix:${path}`, credentials.createInsecure());
  await expect(invoke(caller, caller.listJobs, { all: true }, { metadata })).rejects.toMatchObject({
    code: 'COORDINATOR_UNAVAILABLE',
  });
  for (const open of [caller, gone]) open.close();
  await lonely.close();
});

test('a stream is passed on to its end', async () => {
  const events = await client.watch({ subject: { $case: 'job', value: 'short' }, after: '' }).toArray();
  expect(events).toHaveLength(3);
});

test('a caller that goes away ends the stream at the coordinator', async () => {
  const cancelled = new Promise<void>((resolve) => {
    watchCancelled = resolve;
  });
  const stream = client.watch({ subject: { $case: 'job', value: 'long' }, after: '' });
  stream.on('error', () => {});
  stream.once('data', () => stream.cancel());
  await cancelled;
});

test('the socket is for everybody, and is taken over only from the dead', async () => {
  expect((await stat(socketPath)).mode & 0o777).toBe(0o666);
  await expect(serve()).rejects.toMatchObject({ code: 'WRONG_STATE' });

  const stale = join(directory, 'stale.sock');
  await run(process.execPath, [
    '-e',
    `require('net').createServer().listen('${stale}', () => process.kill(process.pid, 9))`,
  ]).catch(() => {});
  expect((await stat(stale)).isSocket()).toBe(true);
  const replaced = await serve(stale);
  await replaced.close();

  const file = join(directory, 'file');
  await writeFile(file, 'precious');
  await expect(serve(file)).rejects.toMatchObject({ code: 'WRONG_STATE' });
  expect(await readFile(file, 'utf8')).toBe('precious');
});

test('a connection whose peer cannot be known is closed', async () => {
  const path = join(directory, 'unknown.sock');
  const errors: Error[] = [];
  const refusing = await serveTools({
    socketPath: path,
    peerCredentials: () => {
      throw new Error('no credentials');
    },
    node: null,
    services: () => [service(CoordinatorServiceService, stub as CoordinatorServiceServer)],
    onError: (error) => errors.push(error),
  });
  const caller = new CoordinatorServiceClient(`unix:${path}`, credentials.createInsecure());
  await expect(
    invoke(caller, caller.listJobs, { all: true }, { metadata: new Metadata() }),
  ).rejects.toThrow();
  expect(errors.length).toBeGreaterThan(0);
  caller.close();
  await refusing.close();
});

test('errors survive the way over the wire and back', () => {
  const error = new HoldfastError('STORE_REFUSED', 'no', 'ask');
  expect(fromGrpcError(toGrpcError(error))).toMatchObject({
    code: 'STORE_REFUSED',
    message: 'no',
    remedy: 'ask',
  });
  expect(fromErrorDetail(toErrorDetail(error), 'node n1: ')).toMatchObject({ message: 'node n1: no' });
  expect(fromErrorDetail({ code: 'NEW_IN_2', message: 'm', remedy: '' }).code).toBe('INTERNAL');
  expect(fromGrpcError(new Error('plain')).code).toBe('INTERNAL');
});

test.each([['-1'], ['4294967295'], ['abc'], ['']])('uid %s in metadata is refused', (uid) => {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries({ uid, gid: '0', pid: '1', node: 'n1' })) {
    metadata.set(`holdfast-${key}`, value);
  }
  expect(() => identityFromMetadata(metadata)).toThrow('holdfast-uid');
});
