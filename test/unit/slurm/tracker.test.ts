/** Which of the tasks that are found are tracked by themselves, and that none is tried twice. */
import pino from 'pino';
import type { Discovered } from '../../../agent/slurm/discovery/discover';
import type { FoundTask, ProcessFacts } from '../../../agent/slurm/discovery/find';
import { wantedOf, watchTasks } from '../../../agent/slurm/discovery/watch';
import { Tracker } from '../../../agent/slurm/tracker';
import { HoldfastError } from '../../../core/errors';
import type { TrackProcessRequest } from '../../../proto/gen/holdfast/v1/coordinator';

const ALICE = 2001;
const log = pino({ level: 'silent' });

function discovered(pid: number, options: string, more: Partial<Discovered> = {}): Discovered {
  const process: ProcessFacts = {
    ...{ pid, parentPid: 1, uid: ALICE, gid: 100, startTicks: 1000 + pid, state: 'S', comm: 'app' },
    ...{ commandLine: './app\0', groups: [] },
  };
  const environment: Record<string, string> = options === '' ? {} : { HOLDFAST_SLURM_OPTIONS: options };
  const task: FoundTask = {
    ...{ jobId: 12, jobIdFrom: 'group', step: '0', task: 3, roots: [process], uid: ALICE, frozen: false },
    environment,
  };
  return { process, task, refusal: '', identity: { jobId: 12 }, job: '', ...more };
}

interface Call {
  readonly request: TrackProcessRequest;
  readonly uid: number;
}

function tracker(calls: Call[], failures: Error[] = []): Tracker {
  const track = async (request: TrackProcessRequest, uid: number) => {
    calls.push({ request, uid });
    const failure = failures.shift();
    if (failure) throw failure;
    return 'j-1';
  };
  return new Tracker({ node: 'n1', log, track });
}

test.each<[string, Discovered, boolean]>([
  ['asked for', discovered(1, 'interval=10m,keep=3'), true],
  ['not asked for', discovered(1, ''), false],
  ['without an interval', discovered(1, 'keep=3'), false],
  ['with options that are none', discovered(1, 'often'), false],
  ['tracked already', discovered(1, 'interval=10m', { job: 'j-1' }), false],
  ['refused', discovered(1, 'interval=10m', { refusal: 'it is Holdfast' }), false],
])('%s', (_, one, isWanted) => expect(wantedOf([one])).toHaveLength(isWanted ? 1 : 0));

test('what is there at a second look is tracked, once, in the name of its user', async () => {
  jest.useFakeTimers();
  try {
    const calls: Call[] = [];
    const short = discovered(1, 'interval=10m');
    const long = discovered(2, 'interval=10m,keep=3');
    const looks = [[short, long], [long], [long]];
    const stop = watchTasks(() => looks.shift() ?? [], tracker(calls, [new Error('refused')]), log);
    await jest.advanceTimersByTimeAsync(5_000);
    expect(calls).toEqual([]);
    await jest.advanceTimersByTimeAsync(20_000);
    expect(calls).toEqual([
      {
        uid: ALICE,
        request: expect.objectContaining({
          ...{
            node: 'n1',
            pid: 2,
            startTicks: 1002,
            name: 'slurm-12.0.3',
            intervalMs: 600_000,
            adaptive: false,
          },
          retention: expect.objectContaining({ keepLast: 3 }),
        }),
      },
    ]);
    stop();
    expect(jest.getTimerCount()).toBe(0);
  } finally {
    jest.useRealTimers();
  }
});

test('a process that turns out to be none to track is left alone', async () => {
  const calls: Call[] = [];
  const process = { ...{ jobId: 1, step: '0', task: 0, pid: 5, startTicks: 6, uid: ALICE, gid: 100 } };
  const one = tracker(calls);
  await one.track(process, { every: 'auto' }, async () => false);
  await one.track(process, { every: 'auto' });
  expect(calls).toEqual([]);
  await one.track({ ...process, startTicks: 7 }, { every: 'auto' });
  expect(calls).toMatchObject([{ request: { adaptive: true, intervalMs: 0, retention: undefined } }]);
});

test('what failed since the coordinator was away is tried again, what was refused is not', async () => {
  const calls: Call[] = [];
  const failures = [
    new HoldfastError('COORDINATOR_UNAVAILABLE', 'away'),
    new HoldfastError('WRONG_STATE', 'a root'),
  ];
  const one = tracker(calls, failures);
  const process = { ...{ jobId: 1, step: '0', task: 0, pid: 5, startTicks: 6, uid: ALICE, gid: 100 } };
  for (let i = 0; i < 4; i++) await one.track(process, { every: 'auto' });
  expect(calls).toHaveLength(2);
});
