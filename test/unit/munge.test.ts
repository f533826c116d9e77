/** Tools on machines without an agent: MUNGE says who calls, for one call at one coordinator, once. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { credentials, Metadata } from '@grpc/grpc-js';
import { type Connection, connect } from '../../cli/client/connection';
import { type Coordinator, startCoordinator } from '../../coordinator/main';
import { MungeIdentities } from '../../coordinator/munge/identity';
import { bindingText, hostOfBinding, MUNGE_KEY } from '../../core/munge/binding';
import { decodeCredential, encodeCredential } from '../../core/munge/program';
import { invoke } from '../../core/rpc/handlers';
import { issueAuthority, issueCertificate } from '../../core/tls/authority';
import { LiveCertificates } from '../../core/tls/live';
import {
  CoordinatorServiceClient,
  CoordinatorServiceService,
  ListJobsRequest,
  ListNodesRequest,
} from '../../proto/gen/holdfast/v1/coordinator';
import { ManualClock } from './coordinator/support/manualClock';

const run = promisify(execFile);
const NOBODY = 65_534;

let directory: string;
let socket: string;
let munged: ChildProcess;
let coordinator: Coordinator;
let raw: CoordinatorServiceClient;
let port: string;

beforeAll(async () => {
  directory = await mkdtemp('/tmp/hf-munge-');
  await chmod(directory, 0o755);
  socket = join(directory, 'munge', 'socket');
  await startMunged();
  const tls = join(directory, 'tls');
  await issueAuthority(tls);
  await issueCertificate(tls, { name: 'head', role: 'coordinator', hosts: ['localhost', '127.0.0.1'] });
  await issueCertificate(tls, { name: 'n1', role: 'node', hosts: ['localhost'] });
  coordinator = await startCoordinator(
    {
      ...{ listen: '127.0.0.1:0', tlsDirectory: tls, mungeListen: '127.0.0.1:0', mungeSocket: socket },
      stateDirectory: join(directory, 'state'),
      storeUrl: `file://${join(directory, 'store')}`,
      toolsSocket: join(directory, 'run', 'coordinator.sock'),
      auditLog: join(directory, 'audit.log'),
      admins: [String(NOBODY)],
      logLevel: 'silent',
    },
    { peerCredentials: () => ({ pid: 1, uid: 0, gid: 0 }) },
  );
  port = (coordinator.mungeAddress ?? '').split(':')[1] ?? '';
  const authority = await readFile(join(tls, 'ca.crt'));
  raw = new CoordinatorServiceClient(`localhost:${port}`, credentials.createSsl(authority));
});

afterAll(async () => {
  raw.close();
  await coordinator.close();
  munged.kill('SIGKILL');
  await rm(directory, { recursive: true, force: true });
});

/** One of our own: with its own key, socket and files. */
async function startMunged(): Promise<void> {
  const place = join(directory, 'munge');
  await mkdir(place, { mode: 0o755 });
  await writeFile(join(place, 'key'), randomBytes(128), { mode: 0o600 });
  const files = ['key-file', 'socket', 'pid-file', 'log-file', 'seed-file'].map(
    (option) => `--${option}=${join(place, option.replace('-file', ''))}`,
  );
  const argv = ['--pdeathsig', 'KILL', '--', '/usr/sbin/munged', '--foreground', '--force', ...files];
  munged = spawn('setpriv', argv, { stdio: 'ignore' });
  const ended = once(munged, 'exit').then(() => {
    throw new Error('munged did not start');
  });
  ended.catch(() => {});
  const isThere = async () => {
    while (!(await stat(socket).catch(() => null))) await new Promise((resolve) => setTimeout(resolve, 10));
  };
  await Promise.race([isThere(), ended]);
}

function tools(more: object = {}): Promise<Connection> {
  const ca = join(directory, 'tls', 'ca.crt');
  return connect({ coordinator: `localhost:${port}`, auth: 'munge', ca, mungeSocket: socket, ...more });
}

const LIST_JOBS = CoordinatorServiceService.listJobs.path;
const request = { all: false };
const encoded = ListJobsRequest.encode(request).finish();

async function credentialOf(uid: number, text: string): Promise<string> {
  const child = run('munge', [`--socket=${socket}`, '--ttl=60'], { uid, gid: uid });
  child.child.stdin?.end(text);
  return (await child).stdout.trim();
}

const callWith = (credential: string) => {
  const metadata = new Metadata();
  if (credential !== '') metadata.set(MUNGE_KEY, credential);
  return invoke(raw, raw.listJobs, request, { metadata });
};

test('the command line calls a coordinator without an agent, streams included', async () => {
  const connection = await tools();
  expect(await connection.call('listJobs', request)).toMatchObject({ jobs: [] });
  expect(await connection.call('rebuildCatalog', {})).toMatchObject({ jobs: 0 });
  const watching = connection.watch({ $case: 'job', value: 'j-none' })[Symbol.asyncIterator]();
  await expect(watching.next()).rejects.toMatchObject({ code: 'NOT_FOUND' });
  const exporting = connection.export(4)[Symbol.asyncIterator]();
  await expect(exporting.next()).rejects.toMatchObject({ code: 'NOT_FOUND' });
  async function* nothing() {}
  await expect(connection.import(nothing())).rejects.toMatchObject({ code: 'CORRUPT' });
  connection.close();
});

test('it is who made the credential that counts, not who brings it or what it says of itself', async () => {
  const metadata = new Metadata();
  metadata.set(MUNGE_KEY, await credentialOf(NOBODY, bindingText(LIST_JOBS, encoded, 'localhost')));
  metadata.set('holdfast-uid', '0');
  await invoke(raw, raw.listJobs, request, { metadata });
  await expect(
    callWith(await credentialOf(1234, `${bindingText(LIST_JOBS, encoded, 'localhost')}\n\nUID: 0`)),
  ).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  const { path } = CoordinatorServiceService.rebuildCatalog;
  const stranger = new Metadata();
  stranger.set(MUNGE_KEY, await credentialOf(1234, bindingText(path, new Uint8Array(), 'localhost')));
  await expect(invoke(raw, raw.rebuildCatalog, {}, { metadata: stranger })).rejects.toMatchObject({
    code: 'PERMISSION_DENIED',
    message: 'only admins may call rebuildCatalog; the caller is uid 1234',
  });
  // Nobody waits for that file.
  const told = async () => (await readFile(join(directory, 'audit.log'), 'utf8')).trim().split('\n');
  const entry = async () =>
    (await told())
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line))
      .find(({ uid }) => uid === 1234);
  while ((await entry()) === undefined) await new Promise((resolve) => setTimeout(resolve, 10));
  expect(await entry()).toMatchObject({ via: 'munge', node: null, outcome: 'PERMISSION_DENIED' });
});

test('a credential is good once', async () => {
  const credential = await credentialOf(NOBODY, bindingText(LIST_JOBS, encoded, 'localhost'));
  await callWith(credential);
  await expect(callWith(credential)).rejects.toMatchObject({
    code: 'UNAUTHENTICATED',
    message: 'unmunge: the credential was used before',
  });
});

test.each<[string, string, string]>([
  [
    'another method',
    bindingText('/holdfast.v1.CoordinatorService/KillJob', encoded, 'localhost'),
    'another call',
  ],
  [
    'another request',
    bindingText(LIST_JOBS, ListJobsRequest.encode({ all: true }).finish(), 'localhost'),
    'is for another call or request',
  ],
  [
    'another coordinator',
    bindingText(LIST_JOBS, encoded, 'other.example.org'),
    'for the coordinator other.example.org',
  ],
  ['something else', 'slurm', 'is not one of Holdfast'],
  ['nothing', '', 'is not one of Holdfast'],
])('a credential for %s is refused', async (_, text, message) => {
  await expect(callWith(await credentialOf(0, text))).rejects.toMatchObject({
    code: 'UNAUTHENTICATED',
    message: expect.stringContaining(message),
  });
});

test.each([
  ['none', ''],
  ['one that is malformed', 'MUNGE:AwQDAAC:'],
  ['one that is no credential', 'x'.repeat(9000)],
])('a call with %s is refused', async (_, credential) => {
  await expect(callWith(credential)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
});

test('identities of agents mean nothing on this port', async () => {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries({ uid: '0', gid: '0', pid: '1', node: 'n1' })) {
    metadata.set(`holdfast-${key}`, value);
  }
  await expect(invoke(raw, raw.listJobs, request, { metadata })).rejects.toMatchObject({
    code: 'UNAUTHENTICATED',
    message: 'the call has no MUNGE credential',
  });
});

test('a credential of another realm is refused', async () => {
  const [mine, other] = [socket, join(directory, 'other')];
  const credential = await credentialOf(0, bindingText(LIST_JOBS, encoded, 'localhost'));
  const forged = credential.replace(/.{8}:$/, (end) =>
    end.startsWith('A') ? `B${end.slice(1)}` : `A${end.slice(1)}`,
  );
  await expect(decodeCredential(forged, mine)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  await expect(decodeCredential(credential, other)).rejects.toMatchObject({
    code: 'UNAUTHENTICATED',
    remedy: 'start munged',
  });
});

test('where MUNGE is not there, the tool says so', async () => {
  const connection = await tools({ mungeSocket: join(directory, 'none') });
  await expect(connection.call('listJobs', request)).rejects.toMatchObject({
    code: 'UNAUTHENTICATED',
    message: expect.stringContaining('Failed to access'),
    remedy: 'start munged',
  });
  connection.close();
  const path = process.env.PATH;
  process.env.PATH = '/nonexistent';
  await expect(encodeCredential('x')).rejects.toMatchObject({
    code: 'UNAUTHENTICATED',
    message: expect.stringContaining('MUNGE cannot be used'),
    remedy: 'install MUNGE here and start munged, or call the agent of a node',
  });
  process.env.PATH = path;
});

test('a tool shows its credential to no one but a coordinator of its cluster', async () => {
  const foreign = join(directory, 'foreign');
  await issueAuthority(foreign);
  const connection = await tools({ ca: join(foreign, 'ca.crt') });
  await expect(connection.call('listJobs', request)).rejects.toMatchObject({
    code: 'COORDINATOR_UNAVAILABLE',
  });
  connection.close();
  await expect(tools({ ca: join(directory, 'none.crt') })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  });
  await expect(connect({ coordinator: `localhost:${port}` })).rejects.toThrow('belong together');
  await expect(connect({ auth: 'munge' })).rejects.toThrow('belong together');
});

describe('what MUNGE cannot know', () => {
  const now = new ManualClock();
  const text = bindingText('/m', encoded, 'localhost');
  let made: { encodedMs: number; payload: string };
  let identities: MungeIdentities;
  const metadata = (credential: string) => {
    const with_ = new Metadata();
    with_.set(MUNGE_KEY, credential);
    return with_;
  };

  beforeAll(async () => {
    const certificates = await LiveCertificates.open(join(directory, 'tls'), 'head');
    made = { encodedMs: now.wallMs(), payload: text };
    const decode = async () => ({ uid: 7, gid: 8, ...made });
    identities = new MungeIdentities({ clock: now, certificates, socket: undefined, decode });
  });

  test('a replay is refused also by a munged that was restarted, and forgotten when it has expired', async () => {
    expect(await identities.of(metadata('a'), '/m', encoded)).toEqual({ uid: 7, gid: 8, pid: 0, node: null });
    await expect(identities.of(metadata('a'), '/m', encoded)).rejects.toThrow('used before');
    await expect(identities.of(metadata('a '), '/m', encoded)).rejects.toThrow('used before');
    now.advance(300_000);
    made = { encodedMs: now.wallMs(), payload: text };
    expect(await identities.of(metadata('a'), '/m', encoded)).toMatchObject({ uid: 7 });
  });

  test('one that lives longer than ours is too old, and one from far ahead as well', async () => {
    for (const encodedMs of [now.wallMs() - 121_000, now.wallMs() + 121_000]) {
      made = { encodedMs, payload: text };
      await expect(identities.of(metadata(String(encodedMs)), '/m', encoded)).rejects.toThrow('too old');
    }
  });

  test('two credentials are none', async () => {
    const two = metadata('a');
    two.add(MUNGE_KEY, 'b');
    await expect(identities.of(two, '/m', encoded)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  test('a stream is bound to its method', () => {
    expect(hostOfBinding(bindingText('/m', null, 'h'), '/m', null)).toEqual({ host: 'h' });
    expect(
      hostOfBinding(bindingText('/m', null, 'h'), '/m', ListNodesRequest.encode({}).finish()),
    ).toHaveProperty('problem');
  });
});
