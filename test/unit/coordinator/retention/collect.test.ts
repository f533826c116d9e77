/** Retention and sweeps through a real coordinator: what goes, what stays, and when. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { manifestKey } from '../../../../core/manifest';
import { KEEP_ALL } from '../../../../core/retention';
import { invoke } from '../../../../core/rpc/handlers';
import { type Job, JobState } from '../../../../proto/gen/holdfast/v1/coordinator';
import { FakeCluster, type User } from '../support/cluster';
import {
  checkpoints,
  collect,
  differences,
  explain,
  generationsOf,
  keysBelow,
  pinned,
  remove,
  setPolicy,
  usage,
} from '../support/collecting';
import { storeGeneration } from '../support/generation';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const GRACE_MS = 60 * MINUTE_MS;
const SWEEP_MS = 17 * MINUTE_MS;

let cluster: FakeCluster;
let user: User;
let root: User;
let job: Job;

async function start(extra: FakeCluster['extraOptions'] = {}): Promise<void> {
  const options = { gcGraceMs: GRACE_MS, gcIntervalMs: SWEEP_MS, ...extra };
  cluster = await FakeCluster.start(['n1', 'n2'], undefined, options);
  for (const agent of cluster.agents.values()) Object.assign(agent, { returns: true, olderPacks: 1 });
  user = cluster.user();
  root = cluster.user(0);
}

async function startJob(policy: Partial<typeof KEEP_ALL> = {}, count = 0): Promise<void> {
  job = await user.submit({ nodes: ['n1'], retention: { ...KEEP_ALL, ...policy } });
  await user.member(job.id, 'n2');
  await take(count);
}

async function take(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    expect((await user.checkpoint(job.id)).phase).toBe('DONE');
    await settled();
  }
}

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await new Promise((resolve) => setTimeout(resolve, 10).unref());
}

/** What follows a commit is done: it was counted, and nothing is left to remove. */
async function settled(): Promise<void> {
  await until(async () => {
    const measured = (await usage(user)).jobs.find((each) => each.job === job.id);
    const [inCatalog, inStore] = [await listed(), await generationsOf(cluster.store)];
    // The catalog follows the store: a removal is over when both agree.
    const isCounted = (measured?.generations ?? 0) >= inCatalog.length && inCatalog.length === inStore.length;
    return isCounted && (await explain(user, job.id)).every(({ kept }) => kept);
  });
}

const listed = async () => (await checkpoints(user)).map(({ generation }) => generation);
const objects = () => keysBelow(cluster.store, 'jobs/');

afterEach(() => cluster.stop());

describe('with the usual settings', () => {
  beforeEach(() => start());

  test('each commit removes what the policy does not keep', async () => {
    await startJob({ keepLast: 2 }, 4);
    expect(await generationsOf(cluster.store)).toEqual([3, 4]);
    expect(await listed()).toEqual([3, 4]);
    expect((await differences(cluster.store)).missing).toEqual([]);
    expect(await user.restart(job.id)).toMatchObject({ phase: 'RUNNING', generation: 4 });
  });

  test('without a policy everything stays', async () => {
    await startJob({}, 3);
    expect((await collect(root))[0]).toMatchObject({ garbage: [], damage: [], skipped: '' });
    expect(await listed()).toEqual([1, 2, 3]);
  });

  test('packs go with the last generation that names them, after the grace, in two runs', async () => {
    await startJob({}, 3);
    await setPolicy(user, job.id, { keepLast: 1 });
    const before = await objects();
    const [first] = await collect(user);
    expect(first?.decisions.map(({ generation, kept }) => [generation, kept])).toEqual([
      [1, false],
      [2, false],
      [3, true],
    ]);
    // Generation 3 names the packs of 2.
    expect(first?.garbage).toMatchObject([
      {
        objectCount: 2,
        bytes: 10,
        deleted: false,
        cause: 'generation 1 wrote it, and none that stays names it',
      },
    ]);
    expect(await objects()).toEqual(before);
    cluster.aheadMs = GRACE_MS - MINUTE_MS;
    expect((await collect(user))[0]?.garbage).toMatchObject([{ deleted: false }]);
    cluster.aheadMs = GRACE_MS + MINUTE_MS;
    expect((await collect(user))[0]?.garbage).toMatchObject([{ deleted: true }]);
    expect(await objects()).toHaveLength(4);
    expect(await differences(cluster.store)).toEqual({ missing: [], garbage: [] });
    expect((await collect(user))[0]?.garbage).toEqual([]);
  });

  test('a dry run says the same and changes nothing', async () => {
    await startJob({}, 2);
    await setPolicy(user, job.id, { keepLast: 1 });
    const dry = await collect(user, true);
    expect(await collect(user, true)).toMatchObject([{ decisions: dry[0]?.decisions }]);
    expect(await explain(user, job.id)).toEqual(dry[0]?.decisions);
    expect(await listed()).toEqual([1, 2]);
    const real = await collect(user);
    expect(real[0]?.decisions).toEqual(dry[0]?.decisions);
    expect(await listed()).toEqual([2]);
  });

  test('nothing of a checkpoint in flight is touched, and the sweep is made up for', async () => {
    await startJob({}, 1);
    const orphan = `jobs/${job.id}/data/9-9/n1/main/pack-00001`;
    await cluster.store.put(orphan, Buffer.from('left'));
    let letGo: () => void = () => {};
    let began: () => void = () => {};
    const gate = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const uploading = new Promise<void>((resolve) => {
      began = resolve;
    });
    const agent = cluster.agent('n1');
    agent.overrides.set('upload', async (command) => {
      began();
      await gate;
      return agent.perform(command);
    });
    const checkpoint = user.checkpoint(job.id);
    await uploading;
    const sweep = cluster.periodic.get(SWEEP_MS);
    sweep?.();
    const [report] = await collect(user);
    expect(report?.skipped).toMatch(/^operation o-\w+ is at UPLOAD$/);
    letGo();
    expect((await checkpoint).phase).toBe('DONE');
    // It is condemned after the commit, and nothing else is: later looks show the same time.
    const condemnedMs = async () => (await collect(user, true))[0]?.garbage[0]?.condemnedMs;
    await until(async () => {
      const before = await condemnedMs();
      cluster.aheadMs += 1000;
      return (await condemnedMs()) === before;
    });
    cluster.aheadMs = GRACE_MS + MINUTE_MS;
    expect((await collect(user))[0]?.garbage).toMatchObject([
      { prefix: `jobs/${job.id}/data/9-9`, objectCount: 1, deleted: true },
    ]);
    expect(await differences(cluster.store)).toEqual({ missing: [], garbage: [] });
  });

  test('the coordinator sweeps by itself', async () => {
    await startJob({}, 2);
    await setPolicy(user, job.id, { keepLast: 1 });
    cluster.periodic.get(SWEEP_MS)?.();
    await until(async () => (await listed()).length === 1);
  });

  test('what was pinned stays, also after a loss of Redis, until it is unpinned', async () => {
    await startJob({}, 2);
    expect(await pinned(user, 1)).toMatchObject({ ckptId: 1, pinned: true });
    await cluster.stopCoordinator();
    await rm(join(cluster.directory, 'state'), { recursive: true });
    const agents = [...cluster.agents.values()];
    await cluster.startCoordinator();
    await until(async () => agents.every(({ registrations }) => registrations === 2));
    expect(await checkpoints(user)).toMatchObject([{ pinned: true }, { pinned: false }]);
    await until(async () => (await user.job(job.id)).state === JobState.RUNNING);
    await setPolicy(user, job.id, { keepLast: 1 });
    await until(async () => (await collect(user))[0]?.skipped === '');
    expect(await explain(user, job.id)).toMatchObject([{ kept: true, reason: 'pinned' }, { kept: true }]);
    await pinned(user, 1, false);
    await collect(user);
    expect(await listed()).toEqual([2]);
  });

  test('a policy that was set after the last commit survives a loss of Redis, and so does a deadline', async () => {
    const deadlineMs = Date.now() + DAY_MS;
    job = await user.submit({ nodes: ['n1'], retention: { ...KEEP_ALL, keepLast: 9 }, deadlineMs });
    await take(1);
    await setPolicy(user, job.id, { keepLast: 5 });
    await cluster.stopCoordinator();
    await rm(join(cluster.directory, 'state'), { recursive: true });
    await cluster.startCoordinator();
    expect(await user.job(job.id)).toMatchObject({ deadlineMs, spec: { retention: { keepLast: 5 } } });
  });

  test('what is not there any more cannot be pinned', async () => {
    await startJob({}, 2);
    await cluster.store.delete(manifestKey(job.id, 1));
    await expect(pinned(user, 1)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await keysBelow(cluster.store, 'pins/')).toEqual([]);
  });

  test('what nobody names is found and reported, also of unknown jobs, and deleted after the grace', async () => {
    await startJob({}, 1);
    const stranger = 'j-000000000000';
    await cluster.store.put(`jobs/${stranger}/data/1-5/n1/main/pack-00001`, Buffer.from('half'));
    await cluster.store.put(`jobs/${job.id}/data/2-3/n1/main/pack-00001`, Buffer.from('half'));
    const reports = await collect(root);
    expect(reports.map(({ garbage }) => garbage.map(({ cause }) => cause))).toEqual([
      ['half-written: an attempt at generation 1 that was not committed left it'],
      ['half-written: an attempt at generation 2 that was not committed left it'],
    ]);
    // A user is not shown what may be anybody's.
    expect((await collect(user)).map((report) => report.job)).toEqual([job.id]);
    cluster.aheadMs = GRACE_MS + MINUTE_MS;
    await collect(root);
    expect(await differences(cluster.store)).toEqual({ missing: [], garbage: [] });
    expect((await usage(root)).jobs.map((each) => each.job)).toEqual([job.id]);
  });

  test('as long as a manifest cannot be read, nothing of its job is swept', async () => {
    await startJob({}, 2);
    const body = await cluster.store.get(manifestKey(job.id, 1));
    await cluster.store.put(manifestKey(job.id, 1), Buffer.from('{'));
    for (const ahead of [0, 2 * GRACE_MS]) {
      cluster.aheadMs = ahead;
      const [report] = await collect(user);
      expect(report?.damage).toEqual([
        expect.stringMatching(/^generation 1 cannot be read: .* is not JSON$/),
      ]);
      expect(report?.garbage).toEqual([]);
    }
    await cluster.store.put(manifestKey(job.id, 1), body);
    expect((await differences(cluster.store)).missing).toEqual([]);
  });

  test('a generation that lost an object is told', async () => {
    await startJob({}, 1);
    const [key = ''] = await objects();
    await cluster.store.delete(key);
    expect((await collect(user))[0]?.damage).toEqual([
      `checkpoint 1 (generation 1) names 1 objects that are not there, ${key} for one`,
    ]);
  });

  test('what a job was restarted from stays until it has committed one since', async () => {
    await startJob({}, 2);
    const request = {
      source: { $case: 'ckptId', value: 1 } as const,
      nodes: [],
      outputPath: '',
      lazy: false,
      deadlineMs: 0,
      walltimeMs: 0,
    };
    const operation = await new Promise<string>((resolve, reject) => {
      user.client.restart(request, user.metadata, (error, response) =>
        error ? reject(error) : resolve(response.operation),
      );
    });
    expect(await user.ended(operation)).toMatchObject({ phase: 'RUNNING', generation: 1 });
    await setPolicy(user, job.id, { keepLast: 1 });
    await collect(user);
    expect(await listed()).toEqual([1, 2]);
    await take(1);
    expect(await listed()).toEqual([3]);
  });

  test('after the end of a job everything goes when its time is over, and its number is not used again', async () => {
    await startJob({ keepLast: 5, afterEndMs: DAY_MS }, 2);
    cluster.agent('n1').endTree('main', { exitCode: 0 });
    await user.until(job.id, JobState.COMPLETED);
    await collect(user);
    expect(await listed()).toEqual([1, 2]);
    cluster.aheadMs = DAY_MS + MINUTE_MS;
    await collect(user);
    expect(await listed()).toEqual([]);
    cluster.aheadMs += 2 * GRACE_MS;
    await collect(user);
    expect(await objects()).toEqual([]);
    expect((await usage(root)).jobs).toEqual([]);
    expect(await user.restart(job.id)).toMatchObject({
      phase: 'ABORTED',
      error: { code: 'NOT_FOUND', message: `generation 2 of job ${job.id} does not exist any more` },
    });
  });

  test('of a job that was stopped the newest stays, however old', async () => {
    await startJob({ maxAgeMs: DAY_MS, afterEndMs: DAY_MS }, 1);
    expect((await user.checkpoint(job.id, true)).phase).toBe('DONE');
    cluster.aheadMs = 9 * DAY_MS;
    await collect(user);
    expect(await listed()).toEqual([2]);
    expect(await user.restart(job.id)).toMatchObject({ phase: 'RUNNING', generation: 2 });
  });

  test('a checkpoint can be pinned while another one is being taken', async () => {
    await startJob({}, 1);
    const agent = cluster.agent('n1');
    agent.overrides.set('upload', async (command) => {
      await pinned(user, 1);
      await expect(remove(user, 1)).rejects.toMatchObject({ code: 'WRONG_STATE' });
      return agent.perform(command);
    });
    await take(1);
    expect(await explain(user, job.id)).toMatchObject([{ reason: 'pinned' }, { kept: true }]);
  });

  test('its owner may remove a checkpoint, unless it must stay', async () => {
    await startJob({}, 3);
    await pinned(user, 2);
    const stays = (reason: string) => ({ code: 'WRONG_STATE', message: expect.stringContaining(reason) });
    await expect(remove(user, 2)).rejects.toMatchObject(stays('checkpoint 2 stays: pinned'));
    await expect(remove(user, 3)).rejects.toMatchObject(
      stays('the newest, which the job may need (RUNNING)'),
    );
    await expect(remove(cluster.user(1001), 1)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    await remove(user, 1);
    await expect(remove(user, 1)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await listed()).toEqual([2, 3]);
    expect((await user.checkpoint(job.id, true)).phase).toBe('DONE');
    // What was stopped can be given up.
    await remove(user, 4);
    expect(await listed()).toEqual([2, 3]);
    expect(await user.restart(job.id)).toMatchObject({ phase: 'RUNNING', generation: 3 });
    expect(await user.checkpoint(job.id)).toMatchObject({ phase: 'DONE', generation: 5 });
    expect((await differences(cluster.store)).missing).toEqual([]);
  });

  test('what an export reads stays until its reader has it or has left', async () => {
    // Larger than what is on its way to a reader that waits.
    await storeGeneration(cluster.store, { packBytes: 24 * 2 ** 20 });
    await invoke(root.client, root.client.rebuildCatalog, {}, { metadata: root.metadata });
    const stream = root.client.export({ ckptId: 17 }, root.metadata);
    stream.on('error', () => undefined);
    await new Promise((resolve) => stream.once('readable', resolve));
    const refused = { code: 'WRONG_STATE', message: 'checkpoint 17 stays: an export reads it' };
    await expect(remove(root, 17)).rejects.toMatchObject(refused);
    stream.cancel();
    await until(() =>
      remove(root, 17).then(
        () => true,
        () => false,
      ),
    );
    expect(await generationsOf(cluster.store)).toEqual([]);
  });

  test('only its owner and root may touch a job’s checkpoints', async () => {
    await startJob({}, 1);
    const other = cluster.user(1001);
    const denied = { code: 'PERMISSION_DENIED' };
    await expect(explain(other, job.id)).rejects.toMatchObject(denied);
    await expect(setPolicy(other, job.id, { keepLast: 1 })).rejects.toMatchObject(denied);
    await expect(pinned(other, 1)).rejects.toMatchObject(denied);
    await expect(collect(other, false, job.id)).rejects.toMatchObject(denied);
    expect(await collect(other)).toEqual([]);
    expect(await usage(other)).toMatchObject({ jobs: [], users: [] });
    await expect(setPolicy(user, job.id, { keepLast: -1 })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });
});

test('what jobs have no policy for, the coordinator’s says', async () => {
  await start({ retention: { ...KEEP_ALL, keepLast: 1 } });
  job = await user.submit({ nodes: ['n1'] });
  await take(2);
  expect(await listed()).toEqual([2]);
});

test('a policy of a size is met after each commit, too', async () => {
  await start();
  await startJob({ maxBytes: 20 }, 4);
  expect(await listed()).toEqual([4]);
});

test('over the quota of its user a checkpoint is refused before anything is frozen', async () => {
  await start({ userQuotaBytes: 20 });
  await startJob({}, 2);
  expect((await usage(user)).users).toMatchObject([{ uid: 1000, generations: 2, quotaBytes: 20 }]);
  const refused = await user.checkpoint(job.id);
  expect(refused).toMatchObject({ phase: 'ABORTED', error: { code: 'LIMIT_EXCEEDED' } });
  expect(refused.error?.message).toMatch(/^uid 1000 stores 20 bytes of checkpoints, and its quota is 20B$/);
  expect(cluster.agent('n1').commands('capture')).toHaveLength(2);
});

test('an account has a quota, too: of all jobs that are put down to it, whoever they belong to', async () => {
  const accountQuotas = [
    { account: '*', bytes: 5 },
    { account: 'physics', bytes: 15 },
  ];
  await start({ accountQuotas });
  await startJob({}, 1);
  const other = cluster.user(1001);
  const checkpointed = async (who: User, account: string) => {
    const { id } = await who.submit({ nodes: ['n1'], account });
    return who.checkpoint(id);
  };
  for (const who of [user, other]) expect((await checkpointed(who, 'physics')).phase).toBe('DONE');
  const of = async (who: User) =>
    (await usage(who)).accounts.map(({ account, generations }) => [account, generations]);
  expect(await of(user)).toEqual([['physics', 1]]);
  const root = cluster.user(0);
  expect(await of(root)).toEqual([['physics', 2]]);
  expect((await usage(root)).accounts).toMatchObject([{ storedBytes: 10, quotaBytes: 15 }]);
  expect((await checkpointed(user, 'physics')).phase).toBe('DONE');
  expect((await checkpointed(other, 'physics')).error?.message).toMatch(
    /^account physics stores 15 bytes of checkpoints, and its quota is 15B$/,
  );
  // Those that are not named have a quota each, and what has no account has none.
  expect((await checkpointed(user, 'biology')).phase).toBe('DONE');
  expect((await checkpointed(user, 'biology')).error?.message).toMatch(/^account biology stores 5 bytes/);
  expect((await checkpointed(user, '')).phase).toBe('DONE');
  await expect(user.submit({ nodes: ['n1'], account: 'a b' })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  });
  // A sweep measures anew, and puts it down to the same ones.
  await collect(root);
  expect((await usage(root)).accounts).toMatchObject([
    { account: 'biology', generations: 1 },
    { account: 'physics', generations: 3 },
  ]);
});

test('a tick of a schedule that the quota refuses is told among the decisions of its job', async () => {
  await start({ userQuotaBytes: 10 });
  await startJob({}, 1);
  const { id } = await user.submit({ nodes: ['n1'], intervalMs: 1000 });
  await until(async () => (await user.job(id)).decisions.some(({ subject }) => subject === 'checkpoint'));
  expect((await user.job(id)).decisions).toContainEqual(
    expect.objectContaining({
      subject: 'checkpoint',
      reason: 'not begun: uid 1000 stores 10 bytes of checkpoints, and its quota is 10B',
    }),
  );
  expect((await user.job(id)).lastGeneration).toBe(0);
});
