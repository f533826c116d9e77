/** The audit log: who asked for what and what came of it, in a file that nobody waits for. */
import { chmod, mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Audit } from '../../../coordinator/audit/audit';
import { auditEntry } from '../../../coordinator/audit/entry';
import { LineFile } from '../../../coordinator/audit/file';
import { AUDITED } from '../../../coordinator/audit/subject';
import { HoldfastError } from '../../../core/errors';
import { openLog } from '../../../core/log';
import { invoke } from '../../../core/rpc/handlers';
import { CoordinatorServiceService } from '../../../proto/gen/holdfast/v1/coordinator';
import { JobSpec } from '../../../proto/gen/holdfast/v1/manifest';
import { FakeCluster } from './support/cluster';
import { scrape } from './support/scrape';

const SECRET = 'secret-of-the-job';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp('/tmp/hf-audit-');
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

async function linesOf(path: string): Promise<Record<string, unknown>[]> {
  const text = await readFile(path, 'utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

test('a cluster at work: what changed something, what was refused, and how operations ended', async () => {
  const path = join(directory, 'audit.log');
  const metrics = '127.0.0.1:0';
  const cluster = await FakeCluster.watched(
    ['n1'],
    { auditLog: path, metrics },
    { users: { find: async (uid) => (uid === 1000 ? { name: 'alice', groups: [] } : null) } },
  );
  const alice = cluster.user(1000);
  const job = await alice.submit({
    name: 'sim',
    environment: { TOKEN: SECRET },
    argv: ['/bin/work', SECRET],
  });
  await alice.member(job.id, 'nowhere').catch(() => {});
  const done = await alice.checkpoint(job.id);
  await alice.job(job.id);
  const mallory = cluster.user(1001);
  await expect(mallory.job(job.id)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  const { client, metadata } = mallory;
  await expect(
    invoke(client, client.drain, { node: 'n1', reason: 'fun', restart: true }, { metadata }),
  ).rejects.toThrow();
  await client
    .export({ ckptId: done.ckptId }, metadata)
    .toArray()
    .catch(() => {});
  const nobody = cluster.user(1001, '');
  await expect(nobody.job(job.id)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  await invoke(alice.client, alice.client.killJob, { job: job.id, signal: 9 }, { metadata: alice.metadata });

  // Moved away by logrotate; the next entry is in a new file.
  await rename(path, `${path}.1`);
  cluster.coordinator?.reload({ ...cluster.options(), listen: '127.0.0.1:0' });
  await alice.submit();
  const scraped = await scrape(cluster.coordinator?.metricsAddress);
  await cluster.stop();

  const entries = await linesOf(`${path}.1`);
  const told = entries.map(({ call, outcome, user, uid }) => [call, outcome, user ?? uid]);
  expect(told).toEqual([
    ['submitJob', 'ok', 'alice'],
    ['launchMember', 'NODE_UNAVAILABLE', 'alice'],
    ['checkpoint', 'ok', 'alice'],
    ['operation', 'ok', null],
    ['getJob', 'PERMISSION_DENIED', 1001],
    ['drain', 'PERMISSION_DENIED', 1001],
    ['export', 'PERMISSION_DENIED', 1001],
    ['getJob', 'UNAUTHENTICATED', null],
    ['killJob', 'ok', 'alice'],
  ]);
  expect(entries[0]).toMatchObject({
    via: 'agent',
    node: 'n1',
    pid: 4242,
    job: job.id,
    name: 'sim',
    asUid: 1000,
  });
  expect(entries[2]).toMatchObject({ operation: done.id, job: job.id, stop: false });
  expect(entries[3]).toMatchObject({
    operation: done.id,
    kind: 'checkpoint',
    ckptId: done.ckptId,
    generation: 1,
  });
  expect(entries[4]).toMatchObject({
    job: job.id,
    error: expect.stringContaining('belongs to another user'),
  });
  expect(new Date(String(entries[0]?.time)).getTime()).toBeGreaterThan(Date.now() - 60_000);
  expect(JSON.stringify(entries)).not.toContain(SECRET);
  expect((await linesOf(path)).map(({ call }) => call)).toEqual(['submitJob']);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(scraped.value('holdfast_audit_entries_total', { outcome: 'PERMISSION_DENIED' })).toBe(3);
  expect(scraped.value('holdfast_audit_lost_total')).toBe(0);
});

test('every call is described; none by its environment or its arguments', () => {
  expect(Object.keys(AUDITED).sort()).toEqual(Object.keys(CoordinatorServiceService).sort());
  const spec = JobSpec.fromPartial({ argv: [SECRET], environment: { A: SECRET }, workingDirectory: '/' });
  const asked = { via: 'agent', identity: null, peer: '' } as const;
  const thrown = new HoldfastError('INTERNAL', `cannot use redis://:${SECRET}@head`);
  const member = { job: 'j', host: 'n2', argv: [SECRET], environment: { A: SECRET }, workingDirectory: '' };
  const shown = JSON.stringify([
    auditEntry({ ...asked, call: 'submitJob', request: { spec, resume: '' } }, { thrown }, 0),
    auditEntry({ ...asked, call: 'launchMember', request: member }, { response: { exitCode: 0 } }, 0),
  ]);
  expect(shown).toContain('"host":"n2"');
  expect(shown).not.toContain(SECRET);
});

test('looking at something is no entry, unless it was refused', () => {
  const asked = { call: 'getJob', request: { job: 'j' }, via: 'socket', identity: null, peer: '' } as const;
  expect(auditEntry(asked, { response: { job: undefined } }, 0)).toBeNull();
  expect(auditEntry(asked, { thrown: new HoldfastError('NOT_FOUND', 'no') }, 0)).toBeNull();
  expect(auditEntry(asked, { thrown: new HoldfastError('PERMISSION_DENIED', 'no') }, 0)).toMatchObject({
    outcome: 'PERMISSION_DENIED',
    job: 'j',
  });
});

test('without a file, entries are lines of the log', async () => {
  const lines: string[] = [];
  const log = openLog('coordinator', 'info', { write: (line) => void lines.push(line) });
  const audit = await Audit.open(undefined, log, () => 0);
  audit.record({ time: '', call: 'drain', outcome: 'ok', uid: 0 });
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ msg: 'audit', audit: { call: 'drain', uid: 0 } });
});

test('what cannot be written is counted, told once, and work goes on; then it is written again', async () => {
  const lines: string[] = [];
  const log = openLog('coordinator', 'info', { write: (line) => void lines.push(line) });
  const path = join(directory, 'audit.log');
  const audit = await Audit.open(path, log, () => 0);
  let lost = 0;
  let onLost: () => void = () => {};
  audit.lost.subscribe((count) => {
    lost += count;
    onLost();
  });
  const entry = { time: '', call: 'drain', outcome: 'ok', uid: 0 } as const;
  // Its place is taken by a directory: no file can be opened there, whoever asks.
  await rename(path, `${path}.1`);
  await rename(await mkdtemp(join(directory, 'd-')), path);
  const failed = new Promise<void>((resolve) => {
    onLost = () => lost === 1 && resolve();
  });
  audit.reopen();
  audit.record(entry);
  await failed;
  const failedAgain = new Promise<void>((resolve) => {
    onLost = () => lost === 2 && resolve();
  });
  audit.record(entry);
  await failedAgain;
  expect(lines.map((line) => JSON.parse(line).msg)).toEqual(['the audit log cannot be written']);
  await rm(path, { recursive: true });
  audit.record(entry);
  await audit.close();
  expect(await linesOf(path)).toEqual([entry]);
});

test('a file that cannot be written is an error at the start; a link is not followed', async () => {
  const open = (path: string) => LineFile.open(path, () => {});
  await expect(open(join(directory, 'none', 'audit.log'))).rejects.toMatchObject({
    code: 'WRONG_STATE',
    message: expect.stringMatching(/^cannot write to .*: ENOENT$/),
  });
  const { symlink, writeFile } = await import('node:fs/promises');
  await writeFile(join(directory, 'precious'), '');
  await symlink(join(directory, 'precious'), join(directory, 'link'));
  await expect(open(join(directory, 'link'))).rejects.toMatchObject({
    message: expect.stringContaining('ELOOP'),
  });
  await chmod(directory, 0o700);
});

test('a disk that hangs holds up ten thousand lines, and no work', async () => {
  let lost = 0;
  const file = await LineFile.open(join(directory, 'audit.log'), (lines) => {
    lost += lines;
  });
  // Written one after the other in one turn: none can have reached the disk yet.
  for (let number = 0; number < 10_003; number++) file.add(String(number));
  expect(lost).toBe(2);
  await file.close();
  expect((await linesOf(join(directory, 'audit.log'))).length).toBe(10_001);
});
