/** A new authority, while agents and coordinator go on: whichever file a machine gets first, nobody is locked out. */
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Coordinator, startCoordinator } from '../../coordinator/main';
import { openLog } from '../../core/log';
import { issueAuthority, issueCertificate } from '../../core/tls/authority';
import { clientCredentials, liveCredentials } from '../../core/tls/credentials';
import { tlsFiles } from '../../core/tls/files';
import { listCertificates, stateOf } from '../../core/tls/inventory';
import { LiveCertificates } from '../../core/tls/live';
import { listRevoked, revokeCertificate } from '../../core/tls/revocation';
import { finishRotation, rotateAuthority } from '../../core/tls/rotation';
import { watchCertificates } from '../../core/tls/watch';
import type { ObjectStore } from '../../store/contract';
import { FakeAgent } from './coordinator/support/fakeAgent';
import { scrape } from './coordinator/support/scrape';

const DAY_MS = 86_400_000;

let directory: string;
let authority: string;

beforeEach(async () => {
  directory = await mkdtemp('/tmp/hf-rotation-');
  authority = join(directory, 'ca');
  await issueAuthority(authority);
  await issueCertificate(authority, { name: 'head', role: 'coordinator', hosts: ['127.0.0.1', 'localhost'] });
  for (const name of ['n1', 'n2']) await issueCertificate(authority, { name, role: 'node', days: 100 });
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

/** What an administrator copies to a machine. */
async function distribute(machine: string, files: 'all' | 'ca' = 'all'): Promise<string> {
  const target = join(directory, machine);
  await mkdir(target, { recursive: true });
  const wanted = files === 'ca' ? ['ca.crt'] : ['ca.crt', `${machine}.crt`, `${machine}.key`];
  for (const file of wanted) await copyFile(join(authority, file), join(target, file));
  return target;
}

const parts = { peerCredentials: () => ({ pid: 1, uid: 0, gid: 0 }) };
const options = (tlsDirectory: string) => ({
  listen: '127.0.0.1:0',
  tlsDirectory,
  stateDirectory: join(directory, 'state'),
  storeUrl: `file://${join(directory, 'store')}`,
  toolsSocket: join(directory, 'run', 'coordinator.sock'),
  metrics: '127.0.0.1:0',
  logLevel: 'silent',
});

async function isWelcome(coordinator: Coordinator, node: string): Promise<boolean> {
  const credentials = await clientCredentials(join(directory, node), node, '127.0.0.1');
  const { address } = coordinator;
  const agent = new FakeAgent({ address, node, ip: '10.0.0.1', store: {} as ObjectStore, credentials });
  try {
    await agent.connect();
    return true;
  } catch {
    return false;
  } finally {
    agent.close();
  }
}

test('machines take the new files one after the other, and no session ends', async () => {
  for (const machine of ['head', 'n1', 'n2']) await distribute(machine);
  const coordinator = await startCoordinator(options(join(directory, 'head')), parts);
  const reload = () => coordinator.reload(options(join(directory, 'head')));
  const live = await LiveCertificates.open(join(directory, 'n1'), 'n1');
  const { address } = coordinator;
  const credentials = liveCredentials(live, '127.0.0.1');
  const agent = new FakeAgent({ address, node: 'n1', ip: '10.0.0.1', store: {} as ObjectStore, credentials });
  await agent.connect();
  const before = (await scrape(coordinator.metricsAddress)).value(
    'holdfast_certificate_expiry_timestamp_seconds',
  );
  expect(before * 1000).toBeCloseTo(Date.now() + 825 * DAY_MS, -6);

  const old = await readFile(join(authority, 'ca.crt'), 'utf8');
  const kept = join(directory, 'kept');
  await mkdir(kept);
  for (const file of ['n1.crt', 'n1.key']) await copyFile(join(authority, file), join(kept, file));
  const files = await rotateAuthority(authority);
  expect(files.map((file) => file.slice(authority.length + 1))).toEqual([
    ...['ca.crt', 'head.crt', 'head.key', 'n1.crt', 'n1.key', 'n2.crt', 'n2.key'],
  ]);
  await expect(rotateAuthority(authority)).rejects.toMatchObject({ code: 'WRONG_STATE' });

  // A node has the new files, the coordinator those of before: it knows the new authority by the old one's word.
  await distribute('n2');
  expect(await isWelcome(coordinator, 'n2')).toBe(true);
  // The other way round: the coordinator is new, and n1 is old.
  await distribute('head');
  reload();
  await untilServed(coordinator, 'head');
  expect([await isWelcome(coordinator, 'n1'), await isWelcome(coordinator, 'n2')]).toEqual([true, true]);
  // The session of before goes on, and takes the new files when it has to connect again.
  await distribute('n1');
  expect(await live.reload()).toBe(true);
  agent.disconnect();
  await agent.connect();
  expect(agent.registrations).toBe(2);

  await finishRotation(authority);
  for (const machine of ['head', 'n1']) await distribute(machine, 'ca');
  const { certificate } = tlsFiles(join(directory, 'head'), 'ca');
  expect(await readFile(certificate, 'utf8')).not.toContain(old);
  reload();
  await untilRefused(async () => {
    // What the old authority has signed is worth nothing any more.
    for (const file of ['n1.crt', 'n1.key']) await copyFile(join(kept, file), join(directory, 'n1', file));
    return isWelcome(coordinator, 'n1');
  });
  await distribute('n1');
  expect([await isWelcome(coordinator, 'n1'), await isWelcome(coordinator, 'n2')]).toEqual([true, true]);
  agent.close();
  await coordinator.close();
});

/** Until new connections are made with the certificate that was copied to the machine. */
async function untilServed(coordinator: Coordinator, machine: string): Promise<void> {
  const expected = LiveCertificates.open(join(directory, machine), machine);
  const end = (await expected).validity.notAfterMs / 1000;
  for (;;) {
    const shown = await scrape(coordinator.metricsAddress);
    if (shown.value('holdfast_certificate_expiry_timestamp_seconds') === end) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function untilRefused(attempt: () => Promise<boolean>): Promise<void> {
  while (await attempt()) await new Promise((resolve) => setTimeout(resolve, 20));
}

test('holders keep names, roles, hosts and terms; keys are new and private', async () => {
  const keys = await readFile(join(authority, 'n1.key'), 'utf8');
  await rotateAuthority(authority);
  expect(await readFile(join(authority, 'n1.key'), 'utf8')).not.toBe(keys);
  expect((await stat(join(authority, 'n1.key'))).mode & 0o777).toBe(0o600);
  const now = await listCertificates(authority);
  expect(now.map(({ name, role, issuer, current, state }) => [name, role, issuer, current, state])).toEqual([
    ['holdfast authority 2', 'authority', 'holdfast authority 2', true, 'valid'],
    ['holdfast authority', 'authority', 'holdfast authority', false, 'valid'],
    ['head', 'coordinator', 'holdfast authority 2', true, 'valid'],
    ['n1', 'node', 'holdfast authority 2', true, 'valid'],
    ['n2', 'node', 'holdfast authority 2', true, 'valid'],
  ]);
  const n1 = now.find(({ name }) => name === 'n1');
  expect(Math.round(((n1?.notAfterMs ?? 0) - Date.now()) / DAY_MS)).toBe(100);
  await finishRotation(authority);
  await expect(finishRotation(authority)).rejects.toMatchObject({ code: 'WRONG_STATE' });
  expect((await listCertificates(authority)).map(({ name }) => name)).toEqual([
    ...['holdfast authority 2', 'head', 'n1', 'n2'],
  ]);
  await rotateAuthority(authority);
  expect((await listCertificates(authority))[0]?.name).toBe('holdfast authority 3');
});

test('what was revoked stays so, whichever files a machine has', async () => {
  await distribute('head');
  const { serial } = await revokeCertificate(authority, 'n2');
  const lists = async (machine: string) => {
    await copyFile(join(authority, 'ca.crl'), join(directory, machine, 'ca.crl'));
    return (await LiveCertificates.open(join(directory, machine), 'head')).now.revoked;
  };
  expect(await rotateAuthority(authority)).toContain(join(authority, 'ca.crl'));
  // It still trusts the old authority only.
  expect(await lists('head')).toEqual(new Set([serial]));
  await revokeCertificate(authority, 'n1');
  expect(await finishRotation(authority)).toEqual([join(authority, 'ca.crt'), join(authority, 'ca.crl')]);
  await distribute('head');
  expect(await lists('head')).toEqual(new Set((await listRevoked(authority)).map((entry) => entry.serial)));
  expect(await listRevoked(authority)).toHaveLength(2);
});

test('a rotation that is interrupted goes on at the next command', async () => {
  const old = join(directory, 'old');
  await mkdir(old);
  for (const file of await readdir(authority)) await copyFile(join(authority, file), join(old, file));
  await rotateAuthority(authority);
  const changed = (await readdir(authority)).sort();
  // As if it had stopped when three of its files were in their places.
  await mkdir(join(old, 'rotation'));
  for (const [index, file] of ['ca.crt', 'ca-link.crt', 'head.crt', ...changed].entries()) {
    const target = index < 3 ? join(old, file) : join(old, 'rotation', file);
    await copyFile(join(authority, file), target);
  }
  await expect(LiveCertificates.open(old, 'head')).rejects.toThrow('is not the key of');
  await issueCertificate(old, { name: 'n3', role: 'node' });
  expect((await readdir(old)).sort()).toEqual([...changed, 'n3.crt', 'n3.key'].sort());
  for (const file of changed)
    expect(await readFile(join(old, file))).toEqual(await readFile(join(authority, file)));
  expect((await listCertificates(old)).find(({ name }) => name === 'n3')).toMatchObject({ current: true });
});

test('files that do not fit together are not taken: the old ones stay in use', async () => {
  const target = await distribute('n1');
  const live = await LiveCertificates.open(target, 'n1');
  const lines: { msg: string }[] = [];
  const log = openLog('agent', 'info', { write: (line) => void lines.push(JSON.parse(line)) });
  const watch = watchCertificates(live, log);
  const before = live.now;
  await copyFile(join(authority, 'n2.key'), join(target, 'n1.key'));
  await watch.look();
  await watch.look();
  await writeFile(join(target, 'n1.key'), 'nothing');
  await watch.look();
  expect(live.now).toBe(before);
  await rotateAuthority(authority);
  await distribute('n1');
  await watch.look();
  watch.close();
  expect(live.now).not.toBe(before);
  expect(lines.map(({ msg }) => msg)).toEqual([
    'new certificate files cannot be used: the old ones stay in use',
    'new certificate files cannot be used: the old ones stay in use',
    'new certificates are used from now on',
  ]);
});

test('who must renew a certificate is told a month before, and every day', async () => {
  const target = await distribute('n1');
  const live = await LiveCertificates.open(target, 'n1');
  const lines: { msg: string; level: number }[] = [];
  const log = openLog('agent', 'info', { write: (line) => void lines.push(JSON.parse(line)) });
  let nowMs = Date.now() + 69 * DAY_MS;
  const watch = watchCertificates(live, log, () => nowMs);
  expect(lines).toEqual([]);
  for (const days of [71, 71.5, 72, 101]) {
    nowMs = Date.now() + days * DAY_MS;
    await watch.look();
  }
  watch.close();
  expect(lines.map(({ msg, level }) => [level, msg])).toEqual([
    [40, 'the certificate ends in less than 30 days: issue a new one (holdfast ca)'],
    [40, 'the certificate ends in less than 30 days: issue a new one (holdfast ca)'],
    [50, 'the certificate is expired: nobody accepts it; issue a new one (holdfast ca)'],
  ]);
  expect(stateOf(10, 20, 5)).toBe('not yet valid');
});
