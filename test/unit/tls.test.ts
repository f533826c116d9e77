/** Certificates: who gets in, who does not, and who is believed to be whom. */
import { X509Certificate } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type ChannelCredentials, credentials } from '@grpc/grpc-js';
import { type Coordinator, startCoordinator } from '../../coordinator/main';
import { channelOptions } from '../../core/rpc/channel';
import { invoke } from '../../core/rpc/handlers';
import { identityMetadata } from '../../core/rpc/identity';
import { issueAuthority, issueCertificate } from '../../core/tls/authority';
import { clientCredentials, coordinatorNameIn } from '../../core/tls/credentials';
import { listRevoked, revokeCertificate } from '../../core/tls/revocation';
import { CoordinatorServiceClient } from '../../proto/gen/holdfast/v1/coordinator';
import type { ObjectStore } from '../../store/contract';
import { FakeAgent } from './coordinator/support/fakeAgent';

const DAY_MS = 86_400_000;

let directory: string;
let tls: string;
let foreign: string;
let coordinator: Coordinator;
const NO_STORE = {} as ObjectStore;

beforeAll(async () => {
  directory = await mkdtemp('/tmp/hf-tls-');
  [tls, foreign] = [join(directory, 'tls'), join(directory, 'foreign')];
  for (const place of [tls, foreign]) {
    await issueAuthority(place);
    await issueCertificate(place, { name: 'n1', role: 'node' });
  }
  await issueCertificate(tls, { name: 'n2', role: 'node', hosts: ['127.0.0.1'] });
  await issueCertificate(tls, { name: 'head', role: 'coordinator', hosts: ['127.0.0.1', 'localhost'] });
  for (const [name, days] of Object.entries({ expired: -900, early: 10 })) {
    await issueCertificate(tls, { name, role: 'node' }, Date.now() + days * DAY_MS);
  }
  coordinator = await startCoordinator(options(tls), parts);
});

afterAll(async () => {
  await coordinator.close();
  await rm(directory, { recursive: true, force: true });
});

const log: string[] = [];
const parts = {
  peerCredentials: () => ({ pid: 1, uid: 0, gid: 0 }),
  logSink: { write: (line: string) => void log.push(line) },
};

/** What the coordinator said of peers it refused, since the last question. */
function refusals(): string[] {
  const lines = log.splice(0).map((line) => JSON.parse(line));
  return lines.filter(({ msg }) => msg === 'connection refused in the handshake').map(({ reason }) => reason);
}

const options = (tlsDirectory: string) => ({
  listen: '127.0.0.1:0',
  tlsDirectory,
  stateDirectory: join(directory, 'state'),
  storeUrl: `file://${join(directory, 'store')}`,
  toolsSocket: join(directory, 'run', 'coordinator.sock'),
  logLevel: 'warn',
});

async function connect(node: string, channel: ChannelCredentials): Promise<void> {
  const { address } = coordinator;
  const agent = new FakeAgent({ address, node, ip: '10.0.0.1', store: NO_STORE, credentials: channel });
  try {
    await agent.connect();
  } finally {
    agent.close();
  }
}

test('a node with its own certificate is welcome', async () => {
  await connect('n1', await clientCredentials(tls, 'n1'));
});

test('a node that gives another name than its certificate is refused', async () => {
  await expect(connect('n2', await clientCredentials(tls, 'n1'))).rejects.toMatchObject({
    code: 'UNAUTHENTICATED',
    message: 'an agent with the certificate of node n1 says that it is node n2',
  });
});

test('a certificate of another role is not a node', async () => {
  await expect(connect('head', await clientCredentials(tls, 'head'))).rejects.toMatchObject({
    code: 'UNAUTHENTICATED',
    message: "the peer's certificate (head) is not a node's",
  });
});

test('a certificate of another authority is refused in the handshake, from either side', async () => {
  await expect(connect('n1', await clientCredentials(foreign, 'n1'))).rejects.toMatchObject({
    code: 'COORDINATOR_UNAVAILABLE',
    message: expect.stringMatching(/unable to verify|self-signed certificate/),
  });
  // A client that does not care who answers gets no further: the coordinator does.
  refusals();
  const [ca, cert, key] = await Promise.all(
    [join(tls, 'ca.crt'), join(foreign, 'n1.crt'), join(foreign, 'n1.key')].map((file) => readFile(file)),
  );
  await expect(connect('n1', credentials.createSsl(ca ?? null, key, cert))).rejects.toMatchObject({
    code: 'COORDINATOR_UNAVAILABLE',
  });
  expect(refusals()).toContain('certificate of n1: unable to verify leaf signature');
});

test.each([
  ['expired', 'cert has expired'],
  ['early', 'cert not yet valid'],
])('a certificate that is %s is refused in the handshake', async (name, reason) => {
  refusals();
  await expect(connect(name, await clientCredentials(tls, name))).rejects.toMatchObject({
    code: 'COORDINATOR_UNAVAILABLE',
  });
  expect(refusals()).toContain(`certificate of ${name}: ${reason}`);
});

describe('revocation', () => {
  const reload = () => coordinator.reload(options(tls));
  const told = (text: string) => log.some((line) => line.includes(text));
  const until = async (isSo: () => boolean) => {
    for (const deadlineMs = Date.now() + 10_000; !isSo() && Date.now() < deadlineMs; ) await delay(10);
    expect(isSo()).toBe(true);
  };

  test('a revoked certificate is refused, who is connected with it is cut off, and a new one of that name is welcome', async () => {
    await issueCertificate(tls, { name: 'stolen', role: 'node' });
    const thief = join(directory, 'thief');
    await cp(tls, thief, { recursive: true });
    const stolen = await clientCredentials(thief, 'stolen');
    const { address } = coordinator;
    const agent = new FakeAgent({
      address,
      node: 'stolen',
      ip: '10.0.0.1',
      store: NO_STORE,
      credentials: stolen,
    });
    await agent.connect();
    log.splice(0);
    const { serial } = await revokeCertificate(tls, 'stolen');
    expect(await listRevoked(tls)).toEqual([{ serial, revokedMs: expect.any(Number) }]);
    reload();
    await until(() => told('certificate of stolen: it was revoked') && told('session ended'));
    agent.close();
    refusals();
    await expect(connect('stolen', stolen)).rejects.toMatchObject({ code: 'COORDINATOR_UNAVAILABLE' });
    expect(refusals()).toContain('certificate of stolen: it was revoked');
    await connect('n1', await clientCredentials(tls, 'n1'));
    await issueCertificate(tls, { name: 'stolen', role: 'node' });
    await connect('stolen', await clientCredentials(tls, 'stolen'));
    await expect(revokeCertificate(tls, 'nobody')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('agents refuse a coordinator whose certificate was revoked', async () => {
    const wary = join(directory, 'wary');
    await cp(tls, wary, { recursive: true });
    const { serialNumber } = new X509Certificate(await readFile(join(tls, 'head.crt')));
    // By its number, as people copy it.
    await revokeCertificate(wary, serialNumber.replace(/..(?!$)/g, '$&:').toLowerCase());
    await expect(connect('n1', await clientCredentials(wary, 'n1'))).rejects.toMatchObject({
      message: expect.stringContaining('a certificate that was revoked'),
    });
  });

  test('a list that is forged, damaged or gone changes nothing, and the log says so', async () => {
    const real = await readFile(join(tls, 'ca.crl'));
    await revokeCertificate(foreign, 'n1');
    for (const [spoil, reason] of [
      [() => cp(join(foreign, 'ca.crl'), join(tls, 'ca.crl')), 'that an authority of ca.crt has signed'],
      [() => writeFile(join(tls, 'ca.crl'), 'nonsense'), 'holds no revocation list'],
      [() => rm(join(tls, 'ca.crl')), 'is gone'],
    ] as const) {
      log.splice(0);
      await spoil();
      reload();
      await until(() => told(reason));
    }
    await expect(
      connect('stolen', await clientCredentials(join(directory, 'thief'), 'stolen')),
    ).rejects.toThrow();
    await writeFile(join(tls, 'ca.crl'), real);
    reload();
  });
});

test('a peer without a certificate, or without TLS, is refused, and the log says why', async () => {
  const authority = await readFile(join(tls, 'ca.crt'));
  refusals();
  await expect(connect('n1', credentials.createSsl(authority))).rejects.toThrow();
  expect(refusals()).toContain('the peer shows no certificate');
  await expect(connect('n1', credentials.createInsecure())).rejects.toThrow();
  expect(refusals()).toContain('the peer speaks plain text');
});

test('a coordinator with an expired certificate is refused by agents', async () => {
  const old = join(directory, 'old');
  await issueAuthority(old);
  await issueCertificate(old, { name: 'n1', role: 'node' });
  const hosts = ['127.0.0.1'];
  await issueCertificate(old, { name: 'head', role: 'coordinator', hosts }, Date.now() - 900 * DAY_MS);
  const expired = await startCoordinator(
    {
      ...options(old),
      stateDirectory: join(directory, 'state3'),
      toolsSocket: join(directory, 'run', '3.sock'),
    },
    parts,
  );
  expect(log.splice(0).join()).toContain('the certificate is expired: nobody accepts it');
  const channel = await clientCredentials(old, 'n1', '127.0.0.1');
  const { address } = expired;
  const agent = new FakeAgent({ address, node: 'n1', ip: '10.0.0.1', store: NO_STORE, credentials: channel });
  await expect(agent.connect()).rejects.toMatchObject({ message: expect.stringContaining('expired') });
  agent.close();
  await expired.close();
});

test('a node cannot serve as the coordinator', async () => {
  const posing = await startCoordinator(
    {
      ...options(tls),
      tlsName: 'n2',
      stateDirectory: join(directory, 'state2'),
      toolsSocket: join(directory, 'run', '2.sock'),
    },
    parts,
  );
  const channel = await clientCredentials(tls, 'n1');
  const { address } = posing;
  const agent = new FakeAgent({ address, node: 'n1', ip: '10.0.0.1', store: NO_STORE, credentials: channel });
  await expect(agent.connect()).rejects.toMatchObject({ code: 'COORDINATOR_UNAVAILABLE' });
  agent.close();
  await posing.close();
});

test('a node forwards calls of its own users only', async () => {
  const channel = await clientCredentials(tls, 'n1');
  const client = new CoordinatorServiceClient(coordinator.address, channel, channelOptions());
  const as = (node: string) => ({ metadata: identityMetadata({ uid: 1000, gid: 1000, pid: 1, node }) });
  await expect(invoke(client, client.listJobs, { all: true }, as('n2'))).rejects.toMatchObject({
    code: 'UNAUTHENTICATED',
    message: 'node n1 forwards a call as if it were node n2',
  });
  expect(await invoke(client, client.listJobs, { all: true }, as('n1'))).toMatchObject({ jobs: [] });
  const stream = client.watch({ subject: { $case: 'job', value: 'x' }, after: '' }, as('n2').metadata);
  await expect(stream.toArray()).rejects.toThrow('as if it were node n2');
  client.close();
});

test('keys are private, and are never replaced', async () => {
  const modeOf = async (file: string) => (await stat(join(tls, file))).mode & 0o777;
  expect(await Promise.all(['ca.key', 'n1.key', 'ca.crt', 'n1.crt'].map(modeOf))).toEqual([
    ...[0o600, 0o600],
    ...[0o644, 0o644],
  ]);
  await expect(issueAuthority(tls)).rejects.toMatchObject({ code: 'WRONG_STATE' });
  await expect(issueCertificate(tls, { name: 'n1', role: 'node' })).rejects.toMatchObject({
    code: 'WRONG_STATE',
  });
  await expect(issueCertificate(tls, { name: '../n1', role: 'node' })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  });
});

test('the coordinator finds its own certificate, if there is exactly one', async () => {
  expect(await coordinatorNameIn(tls)).toBe('head');
  await expect(coordinatorNameIn(foreign)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
});
