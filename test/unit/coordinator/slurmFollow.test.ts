/** A coordinator that follows a Slurm, which is two scripts here: what it does to jobs, and to whom its socket listens. */
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { invoke } from '../../../core/rpc/handlers';
import { type Job, JobState } from '../../../proto/gen/holdfast/v1/coordinator';
import { JobSpec } from '../../../proto/gen/holdfast/v1/manifest';
import { until } from '../../e2e/survival';
import { FakeCluster, type User } from './support/cluster';

const SLURM_UID = 64030;
/** The last task of an array has the number of all of them, which is not what is to begin. */
const NAME = '12_2';
let directory: string;
let path: string | undefined;
let cluster: FakeCluster;
let user: User;
/** Who the kernel says is at the other end. */
let peerUid = SLURM_UID;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'hf-slurm-'));
  const scripts = {
    scontrol: `case "$2" in config) cat "$here/conf" ;; node) ;; *) echo "$@" >> "$here/done" ;; esac`,
    squeue: `cat "$here/queue"`,
  };
  for (const [name, body] of Object.entries(scripts)) {
    writeFileSync(join(directory, name), `#!/bin/sh\nhere=\${0%/*}\n${body}\n`);
    chmodSync(join(directory, name), 0o755);
  }
  writeFileSync(join(directory, 'conf'), `ClusterName = sim\nSlurmUser = slurm(${SLURM_UID})\n`);
  path = process.env.PATH;
  process.env.PATH = `${directory}:${path}`;
  const peerCredentials = () => ({ pid: 1, uid: peerUid, gid: peerUid });
  cluster = await FakeCluster.watched(['n1', 'n2'], { slurm: true }, { peerCredentials });
  user = cluster.user();
});
afterEach(async () => {
  await cluster.stop();
  process.env.PATH = path;
  rmSync(directory, { recursive: true });
});

const text = (ms: number): string => {
  const local = new Date(ms - new Date().getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 19);
};
/** What Slurm says of job 12 from now on. */
function says(
  state: string,
  more: { reason?: string; eligibleMs?: number; endMs?: number; preemptedMs?: number } = {},
): void {
  const { reason = 'None', eligibleMs = Date.now(), endMs = Date.now(), preemptedMs = 0 } = more;
  const fields = [12, NAME, 1000, state, reason, 1, text(Date.now()), text(eligibleMs), text(endMs)].concat(
    preemptedMs === 0 ? 'N/A' : text(preemptedMs),
  );
  writeFileSync(join(directory, 'queue'), `${fields.join('|')}|\n`);
}

/** @returns what it answers, as slurm_hook.c writes to it */
const tell = (event: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect(join(cluster.directory, 'run', 'slurmctld.sock'));
    let answer = '';
    socket.on('data', (data) => {
      answer += data;
    });
    socket.on('end', () => resolve(answer));
    socket.on('error', reject);
    socket.end(`${JSON.stringify({ event, cluster: 'sim', jobId: '12', uid: '1000', nodeList: 'n1' })}\n`);
  });

async function seated(): Promise<Job> {
  says('RUNNING');
  const slurm = {
    ...{ cluster: 'sim', jobId: 12, restartCount: 0, key: 'ab12', requeue: true },
    attempt: 'a1',
  };
  const spec = JobSpec.fromPartial({ argv: ['/bin/work'], workingDirectory: '/', nodes: ['n1'], slurm });
  const { metadata, client } = user;
  const { job } = await invoke(client, client.submitJob, { spec, resume: '' }, { metadata });
  if (job === undefined) throw new Error('no job');
  await user.checkpoint(job.id);
  return job;
}

test('a hook has it ask Slurm at once: a requeued job begins, and once', async () => {
  const job = await seated();
  cluster.agent('n1').endTree('main', { signal: 9, seatGone: true });
  await user.until(job.id, JobState.STOPPED);
  says('PENDING', { reason: 'BeginTime', eligibleMs: Date.now() + 121_000 });
  expect(await tell('epilog-slurmctld')).toBe('ok\n');
  const done = join(directory, 'done');
  await until('scontrol', () => (existsSync(done) ? true : null), 5_000);
  expect(readFileSync(done, 'utf8')).toBe(`update JobId=${NAME} StartTime=now\n`);
  const noted = async () =>
    (await user.job(job.id)).decisions.find(({ reason }) => /it begins now/.test(reason));
  expect(await until('the decision', async () => (await noted()) ?? null, 5_000)).toMatchObject({
    reason: expect.stringMatching(/^Slurm job 12 was requeued: it begins now, not in 12\d s$/),
  });
});

test('a job that was cancelled while it waited is over, and Slurm is not asked about it again', async () => {
  const job = await seated();
  cluster.agent('n1').endTree('main', { signal: 9, seatGone: true });
  await user.until(job.id, JobState.STOPPED);
  says('CANCELLED');
  await tell('epilog-slurmctld');
  const over = async () => ((await user.job(job.id)).spec?.slurm?.ended === '' ? null : true);
  await until('the end', over, 5_000);
  expect(await user.job(job.id)).toMatchObject({
    ...{ state: JobState.FAILED, spec: { slurm: { ended: 'CANCELLED' } } },
    reason: expect.stringMatching(/; Slurm job 12 was cancelled$/),
  });
});

test('a pre-emption stops the job at a checkpoint, and who asks for that as well gets the same one', async () => {
  const job = await seated();
  says('RUNNING', { preemptedMs: Date.now() });
  await tell('epilog-slurmctld');
  expect(await user.until(job.id, JobState.STOPPED)).toMatchObject({
    stopCause: 'preempt',
    lastGeneration: 2,
  });
  const { decisions } = await user.job(job.id);
  expect(decisions.at(-1)?.reason).toMatch(/^Slurm job 12 is to make room for another: it is stopped/);
});

test('a job whose end nobody has told is stopped, and what is left of it is killed', async () => {
  const job = await seated();
  says('TIMEOUT', { endMs: Date.now() - 60_000 });
  await tell('epilog-slurmctld');
  expect(await user.until(job.id, JobState.STOPPED)).toMatchObject({
    reason: 'Slurm job 12 has ended (TIMEOUT)',
  });
  await until('its trees', () => (cluster.agent('n1').of(job.id).length === 0 ? true : null), 5_000);
});

test("its socket listens to root and to Slurm's user, about whole jobs", async () => {
  says('RUNNING');
  await until('the site', async () => ((await tell('prolog-slurmctld')) === 'ok\n' ? true : null), 5_000);
  expect(await tell('prolog')).toBe('refused\n');
  peerUid = 1000;
  expect(await tell('epilog-slurmctld')).toBe('refused\n');
  peerUid = 0;
  expect(await tell('epilog-slurmctld')).toBe('ok\n');
  const { metadata, client } = cluster.user(0);
  const { records } = await invoke(client, client.listSlurmJobs, {}, { metadata });
  expect(records).toMatchObject([{ jobId: 12, node: '', uid: 1000, nodeList: 'n1' }]);
  expect(records[0]?.registeredMs).toBeGreaterThan(0);
  expect(records[0]?.endedMs).toBeGreaterThan(0);
});
