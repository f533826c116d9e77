/** What follows from what Slurm says of our jobs: which begin now, and which are over. */
import { isOpen, planSlurm } from '../../../coordinator/slurm/plan';
import { parseQueue, queueArguments } from '../../../coordinator/slurm/queue';
import { siteOf } from '../../../coordinator/slurm/site';
import { parseConfiguration } from '../../../core/slurm/configuration';
import { Job, JobState } from '../../../proto/gen/holdfast/v1/coordinator';

const NOW = Date.parse('2026-11-28T22:00:00');
const SITE = { cluster: 'sim', uid: 64030, requeueWaitMs: 121_000 };

const line = (...fields: (string | number)[]): string =>
  fields.map((field) => `${String(field).padEnd(40)}|`).join('');
const at = (seconds: number): string => {
  const date = new Date(NOW + seconds * 1000 - new Date(NOW).getTimezoneOffset() * 60_000);
  return date.toISOString().slice(0, 19);
};
/** Requeued at 21:59:50, as Slurm writes it. */
const requeued = (
  more: Partial<Record<'state' | 'reason' | 'restarts' | 'eligible', string | number>> = {},
) => {
  const { state, reason, restarts, eligible } = {
    ...{ state: 'PENDING', reason: 'BeginTime', restarts: 1, eligible: at(111) },
    ...more,
  };
  return line(12, state, reason, restarts, at(-10), eligible, 'N/A');
};
const ended = (state: string, secondsAgo: number) =>
  line(12, state, 'None', 0, at(-500), at(-500), at(-secondsAgo));

const job = (state: JobState, more: Partial<Job> = {}): Job =>
  Job.fromPartial({
    ...{ id: 'a', state, reason: 'node n1 was lost', lastGeneration: 1 },
    spec: { uid: 7, slurm: { cluster: 'sim', jobId: 12 } },
    ...more,
  });
const steps = (state: JobState, text: string) => planSlurm([job(state)], parseQueue(text), SITE, NOW);

test('the site, as scontrol show config says it', () => {
  const text = 'AuthInfo  = cred_expire=60\nClusterName = sim\nSlurmUser               = slurm(64030)\n';
  expect(siteOf(parseConfiguration(text))).toEqual({ cluster: 'sim', uid: 64030, requeueWaitMs: 61_000 });
  expect(siteOf(parseConfiguration(''))).toMatchObject({ requeueWaitMs: 121_000 });
});

test('one question names all jobs, until there are too many to name', () => {
  expect(queueArguments([12, 13])).toContain('--jobs=12,13');
  expect(queueArguments(Array(20_000).fill(1)).some((word) => word.startsWith('--jobs'))).toBe(false);
});

test('a requeued job that waits for nothing begins', () => {
  expect(steps(JobState.LOST, requeued())).toEqual([
    {
      kind: 'begin',
      jobId: 12,
      jobs: ['a'],
      reason: 'Slurm job 12 was requeued: it begins now, not in 111 s',
    },
  ]);
});

test.each<[string, Parameters<typeof requeued>[0]]>([
  ['whose user has set another time', { eligible: at(3600) }],
  ['that never ran', { restarts: 0 }],
  ['that waits for nodes', { reason: 'Resources' }],
  ['that its user holds', { reason: 'JobHeldUser' }],
  ['whose time has come', { eligible: at(-1) }],
  ['that runs', { state: 'RUNNING', reason: 'None' }],
])('not one %s', (_title, more) => expect(steps(JobState.LOST, requeued(more))).toEqual([]));

test('whoever cancels a waiting job does not want it; another end leaves it to be resumed', () => {
  expect(steps(JobState.LOST, ended('CANCELLED', 5))).toMatchObject([
    {
      kind: 'over',
      end: 'CANCELLED',
      change: {
        ...{ state: JobState.FAILED, reason: 'node n1 was lost; Slurm job 12 was cancelled' },
        endedMs: NOW - 5_000,
      },
    },
  ]);
  expect(steps(JobState.STOPPED, ended('TIMEOUT', 5))).toMatchObject([
    { change: { state: JobState.STOPPED, reason: 'node n1 was lost; Slurm job 12 has ended (TIMEOUT)' } },
  ]);
  expect(steps(JobState.STOPPED, '')).toMatchObject([
    { change: { reason: 'node n1 was lost; Slurm job 12 is not known to Slurm any more', endedMs: NOW } },
  ]);
  expect(steps(JobState.COMPLETED, ended('COMPLETED', 5))).toMatchObject([{ kind: 'over', change: {} }]);
});

test('a job that is thought to run: its agent has half a minute to tell', () => {
  expect(steps(JobState.RUNNING, ended('CANCELLED', 29))).toEqual([]);
  expect(steps(JobState.RUNNING, ended('CANCELLED', 31))).toMatchObject([
    { kind: 'gone', reason: 'Slurm job 12 was cancelled' },
  ]);
  expect(steps(JobState.RUNNING, '')).toMatchObject([{ kind: 'gone' }]);
  expect(steps(JobState.RESTARTING, '')).toEqual([]);
});

test('Slurm is asked about its own jobs that are not over', () => {
  const open = (slurm: object) => isOpen(job(JobState.LOST, Job.fromPartial({ spec: { slurm } })), SITE);
  expect(open({ cluster: 'sim', jobId: 12 })).toBe(true);
  expect(open({ cluster: 'other', jobId: 12 })).toBe(false);
  expect(open({ cluster: 'sim', jobId: 12, ended: 'TIMEOUT' })).toBe(false);
  expect(open({ cluster: 'sim', jobId: 12, supersededBy: 'b' })).toBe(false);
});
