/** Small decisions: what a job may ask for, what becomes of it, what options are good. */
import { decideAfterLoss } from '../../../coordinator/jobs/policy';
import { staleBelow } from '../../../coordinator/jobs/registered';
import { checkSpec } from '../../../coordinator/jobs/spec';
import { RunningOperations } from '../../../coordinator/operations/running';
import { type CoordinatorOptionsInput, parseCoordinatorOptions } from '../../../coordinator/options';
import { JobLocks } from '../../../coordinator/state/locks';
import { isJobId, isNodeName, isTreeId, newJobId, newOperationId } from '../../../core/ids';
import { HostedTree } from '../../../proto/gen/holdfast/v1/agent';
import { Job, JobState } from '../../../proto/gen/holdfast/v1/coordinator';
import { JobSpec, RestartPolicy } from '../../../proto/gen/holdfast/v1/manifest';

const DAY_MS = 86_400_000;
const NOW_MS = 1_800_000_000_000;

const caller = { uid: 1000, gid: 1000, pid: 1, node: 'n1', role: 'user' } as const;
const spec = (more: Partial<JobSpec> = {}) =>
  JobSpec.fromPartial({ argv: ['/bin/true'], workingDirectory: '/', ...more });

test.each<[string, Partial<JobSpec>]>([
  ['argv is empty', { argv: [] }],
  ['argv contains a NUL', { argv: ['/bin/true', 'a\0b'] }],
  ['working_directory is not an absolute path', { workingDirectory: 'here' }],
  ['output_path is not an absolute path', { outputPath: '../out' }],
  ['environment has a malformed name', { environment: { 'A=B': '1' } }],
  ['not a valid node name', { nodes: ['../n1'] }],
  ['interval_ms is 5', { intervalMs: 5 }],
  ['max_restarts is negative', { maxRestarts: -1 }],
  ['restart_backoff_ms is negative', { restartBackoffMs: -1 }],
  ['cron "often" is no pattern', { cron: 'often' }],
  ['interval_ms was given with another schedule', { intervalMs: 5000, adaptive: true }],
  ['interval_ms was given with another schedule', { cron: '@daily', adaptive: true }],
  ['deadline_ms and walltime_ms were both given', { deadlineMs: 5, walltimeMs: 5 }],
  ['walltime_ms is negative', { walltimeMs: -5 }],
  ['walltime_ms is 8640000000000000: more than ten years', { walltimeMs: 100_000_000 * DAY_MS }],
  ['deadline_ms is more than ten years ahead', { deadlineMs: NOW_MS + 3651 * DAY_MS }],
  ['interval_ms is 9007199254740991: more than ten years', { intervalMs: Number.MAX_SAFE_INTEGER }],
  ['restart_backoff_ms is 9007199254740991', { restartBackoffMs: Number.MAX_SAFE_INTEGER }],
])('a specification is refused: %s', (message, change) => {
  expect(() => checkSpec(spec(change), caller, NOW_MS)).toThrow(message);
});

describe('after a lost node', () => {
  const job = (policy: RestartPolicy, more: Partial<Job> = {}) =>
    Job.fromPartial({ lastGeneration: 2, spec: { restartPolicy: policy, maxRestarts: 2 }, ...more });

  test.each([
    [job(RestartPolicy.ANY_NODES), true, 'restarting from generation 2'],
    [job(RestartPolicy.SAME_NODES, { restartCount: 1 }), true, 'restarting from generation 2'],
    [job(RestartPolicy.NEVER), false, 'policy is never'],
    [job(RestartPolicy.UNSPECIFIED), false, 'policy is never'],
    [job(RestartPolicy.ANY_NODES, { restartCount: 2 }), false, 'the limit'],
  ])('decision %#', (now, restart, reason) => {
    const choice = { generation: 2, reason: 'generation 2' };
    const decision = decideAfterLoss(now, 'node n1 was lost', choice);
    expect(decision.restart).toBe(restart);
    expect(decision.reason).toMatch(/^node n1 was lost; /);
    expect(decision.reason).toContain(reason);
  });
});

test('trees of older incarnations are stale, of an ended job all of them (E3)', () => {
  const tree = (incarnation: number) => HostedTree.fromPartial({ incarnation });
  const job = (state: JobState) => Job.fromPartial({ state, incarnation: 3 });
  expect(staleBelow(job(JobState.RUNNING), tree(3))).toBeNull();
  expect(staleBelow(job(JobState.RUNNING), tree(2))).toBe(3);
  expect(staleBelow(job(JobState.RESTARTING), tree(2))).toBe(3);
  expect(staleBelow(job(JobState.FAILED), tree(3))).toBe(4);
});

describe('options', () => {
  const options: CoordinatorOptionsInput = {
    storeUrl: 'file:///s',
    insecureLoopback: true,
    listen: '127.0.0.1:0',
  };

  test('are completed and frozen', () => {
    const parsed = parseCoordinatorOptions({ ...options, leaseMs: 5000 });
    expect(parsed).toMatchObject({
      heartbeatMs: 1000,
      host: '127.0.0.1',
      stateDirectory: '/var/lib/holdfast',
    });
    expect(Object.isFrozen(parsed)).toBe(true);
    expect(parseCoordinatorOptions({ ...options, listen: '[::1]:0' }).host).toBe('::1');
  });

  test.each<[string, Partial<CoordinatorOptionsInput>]>([
    ['only allowed on a loopback address, not on 0.0.0.0', { listen: '0.0.0.0:1' }],
    ['not on localhost', { listen: 'localhost:1' }],
    ['give either a TLS directory', { tlsDirectory: '/tls' }],
    ['give either a TLS directory', { insecureLoopback: false }],
    ['setting listen: must be HOST:PORT; received "nowhere"', { listen: 'nowhere' }],
    ['setting state-dir: must be an absolute path; received "x"', { stateDirectory: 'x' }],
    ['setting lease', { leaseMs: 1 }],
    ['at most half', { leaseMs: 1000, heartbeatMs: 900 }],
  ])('are refused: %s', (message, change) => {
    expect(() => parseCoordinatorOptions({ ...options, ...change })).toThrow(message);
  });
});

test('ids sort by time, and names are checked', () => {
  const times = [0, 1_000, 1_700_000_000_000, 4_000_000_000_000];
  const ids = times.map(newJobId);
  expect([...ids].sort()).toEqual(ids);
  expect(ids.every(isJobId)).toBe(true);
  expect(newOperationId(1)).toMatch(/^o-[0-9a-z]{12}$/);
  expect(['n1', 'a.b-c'].every(isNodeName)).toBe(true);
  expect(['', '.', '..', 'a/b', '-x', 'a..b', 'x'.repeat(64)].some(isNodeName)).toBe(false);
  expect(['main', 'm1', 'm20'].every(isTreeId)).toBe(true);
  expect(['m0', 'm', 'x', '../m1'].some(isTreeId)).toBe(false);
});

test('one job has one operation at a time; other jobs do not wait (E2)', async () => {
  const locks = new JobLocks();
  const order: string[] = [];
  let open: () => void = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const first = locks.run('a', async () => {
    await gate;
    order.push('a1');
    throw new Error('failed');
  });
  const second = locks.run('a', async () => order.push('a2'));
  await locks.run('b', async () => order.push('b'));
  expect(locks.isBusy('a')).toBe(true);
  open();
  await expect(first).rejects.toThrow('failed');
  await second;
  expect(order).toEqual(['b', 'a1', 'a2']);
  expect(locks.isBusy('a')).toBe(false);
});

test('any number may wait until a job is idle, and none of them makes it busy', async () => {
  const locks = new JobLocks();
  let open: () => void = () => {};
  const work = locks.run('a', () => new Promise<void>((resolve) => (open = resolve)));
  const waiting = Promise.all([locks.untilIdle('a'), locks.untilIdle('a'), locks.untilIdle('b')]);
  await locks.untilIdle('b');
  open();
  await Promise.all([work, waiting]);
  expect(locks.isBusy('a')).toBe(false);
});

test('an operation that begins while all are stopped is stopped at once', () => {
  const running = new RunningOperations();
  const aborted: string[] = [];
  running.add('o-1', 'a', () => aborted.push('o-1'));
  running.abortAll({ code: 'COORDINATOR_UNAVAILABLE', message: 'stopping', remedy: '' });
  running.add('o-2', 'b', ({ message }) => aborted.push(`o-2 ${message}`));
  expect(aborted).toEqual(['o-1', 'o-2 stopping']);
});
