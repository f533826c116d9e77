/** gc, retention, pins and usage as users see them. */

import { parsePolicy } from '../../../cli/policy';
import { KEEP_ALL } from '../../../core/retention';
import type { SubmitJobRequest } from '../../../proto/gen/holdfast/v1/coordinator';
import { collections, POLICY } from './support/collection';
import { useCli } from './support/fixture';
import { expectGolden } from './support/golden';
import { JOB_ID, job, summary } from './support/messages';

const cli = useCli();
const DAY_MS = 86_400_000;

test('gc --dry-run tells every decision with its reason', async () => {
  const asked: unknown[] = [];
  cli.coordinator.on({
    collectGarbage: (request) => {
      asked.push(request);
      return { jobs: collections() };
    },
  });
  expectGolden('gc-dry-run.txt.golden', (await cli.run(['gc', '--dry-run'])).stdout);
  const { stdout } = await cli.run(['gc', JOB_ID, '--dry-run', '--json']);
  expectGolden('gc-dry-run.json.golden', `${JSON.stringify(JSON.parse(stdout), null, 1)}\n`);
  expect(asked).toMatchObject([
    { dryRun: true, job: '' },
    { dryRun: true, job: JOB_ID },
  ]);
});

test('gc of an empty store', async () => {
  cli.coordinator.on({ collectGarbage: () => ({ jobs: [] }) });
  expect(await cli.run(['gc'])).toMatchObject({ code: 0, stdout: 'nothing is stored\n' });
});

test('retention explain tells the policy and each checkpoint’s fate', async () => {
  const [first] = collections();
  cli.coordinator.on({
    explainRetention: () => ({ policy: POLICY, isDefault: false, decisions: first?.decisions ?? [] }),
  });
  expectGolden('retention-explain.txt.golden', (await cli.run(['retention', 'explain', JOB_ID])).stdout);
  const { stdout } = await cli.run(['retention', 'explain', JOB_ID, '--json']);
  expectGolden('retention-explain.json.golden', `${JSON.stringify(JSON.parse(stdout), null, 1)}\n`);
});

test('retention set sends the policy, and says which one is in force', async () => {
  const asked: unknown[] = [];
  cli.coordinator.on({
    setRetention: (request) => {
      asked.push(request.policy);
      return { policy: request.policy ?? KEEP_ALL, isDefault: request.policy === undefined };
    },
  });
  const set = (policy: string) => cli.run(['retention', 'set', JOB_ID, policy]);
  expect((await set('last=3,end=14d')).stdout).toBe('policy: last=3,end=14d\n');
  expect((await set('default')).stdout).toBe("policy: all (the coordinator's default)\n");
  expect(asked).toMatchObject([{ ...KEEP_ALL, keepLast: 3, afterEndMs: 14 * DAY_MS }, undefined]);
  expect(await set('last=x')).toMatchObject({ code: 2 });
});

test('run --keep submits the policy with the job', async () => {
  const specs: SubmitJobRequest['spec'][] = [];
  cli.coordinator.on({
    submitJob: ({ spec }) => {
      specs.push(spec);
      return { job: job(), operation: '', completedEarlier: false };
    },
  });
  await cli.run(['run', '--detach', '--keep', '3', '--', 'true']);
  await cli.run(['run', '--detach', '--', 'true']);
  expect(specs.map((spec) => spec?.retention)).toMatchObject([{ ...KEEP_ALL, keepLast: 3 }, undefined]);
});

test('checkpoints pin and unpin', async () => {
  const asked: unknown[] = [];
  cli.coordinator.on({
    pinCheckpoint: ({ ckptId, pinned }) => {
      asked.push([ckptId, pinned]);
      return { summary: { ...summary, pinned } };
    },
    listCheckpoints: () => ({ checkpoints: [{ ...summary, pinned: true }] }),
  });
  expect(await cli.run(['checkpoints', 'pin', '17'])).toMatchObject({ code: 0, stdout: '' });
  const { stdout } = await cli.run(['checkpoints', 'unpin', '17', '--json']);
  expect(JSON.parse(stdout).checkpoint).toMatchObject({ ckptId: 17, pinned: false });
  expect(asked).toEqual([
    [17, true],
    [17, false],
  ]);
  expect((await cli.run(['checkpoints'])).stdout).toMatch(/PINNED\n.* pinned\n$/);
});

test('checkpoints remove', async () => {
  const asked: number[] = [];
  cli.coordinator.on({
    removeCheckpoint: ({ ckptId }) => {
      asked.push(ckptId);
      return {};
    },
  });
  expect(await cli.run(['checkpoints', 'remove', '17'])).toMatchObject({ code: 0, stdout: '' });
  expect(asked).toEqual([17]);
});

test('usage tells jobs and users apart', async () => {
  const measuredMs = Date.UTC(2026, 10, 28);
  cli.coordinator.on({
    getUsage: () => ({
      jobs: [
        {
          job: JOB_ID,
          uid: 1000,
          account: 'physics',
          generations: 3,
          liveBytes: 2 ** 30,
          storedBytes: 1.5 * 2 ** 30,
          measuredMs,
        },
        {
          job: 'j-000000000002',
          uid: undefined,
          account: '',
          generations: 0,
          liveBytes: 0,
          storedBytes: 4096,
          measuredMs,
        },
      ],
      users: [
        { uid: 1000, generations: 3, liveBytes: 2 ** 30, storedBytes: 1.5 * 2 ** 30, quotaBytes: 2 ** 40 },
      ],
      accounts: [
        { account: 'physics', generations: 3, liveBytes: 2 ** 30, storedBytes: 1.5 * 2 ** 30, quotaBytes: 0 },
      ],
    }),
  });
  expectGolden('usage.txt.golden', (await cli.run(['usage'])).stdout);
  const { jobs, users, accounts } = JSON.parse((await cli.run(['usage', '--json'])).stdout);
  expect(jobs[1]).toEqual({
    job: 'j-000000000002',
    uid: null,
    account: '',
    generations: 0,
    liveBytes: 0,
    storedBytes: 4096,
    measuredMs,
  });
  expect(users[0].quotaBytes).toBe(2 ** 40);
  expect(accounts).toEqual([expect.objectContaining({ account: 'physics', storedBytes: 1.5 * 2 ** 30 })]);
});

test.each([
  ['all', {}],
  ['5', { keepLast: 5 }],
  ['hourly=24, daily=7,weekly=4', { keepHourly: 24, keepDaily: 7, keepWeekly: 4 }],
  [
    'age=36h,size=1.5GiB,end=1d12h',
    { maxAgeMs: 1.5 * DAY_MS, maxBytes: 1.5 * 2 ** 30, afterEndMs: 1.5 * DAY_MS },
  ],
])('policy %s', (text, policy) => {
  expect(parsePolicy(text)).toEqual({ ...KEEP_ALL, ...policy });
});

test.each(['', 'none', 'last', 'last=0', '0', 'last=1,last=2', 'last=-1', 'monthly=2', 'last=2,'])(
  'no policy: %j',
  (text) => {
    expect(() => parsePolicy(text)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  },
);
