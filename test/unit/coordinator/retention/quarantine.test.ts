/** Retention and restarts together: what is in quarantine, and what was removed. */
import { HoldfastError } from '../../../../core/errors';
import { JobState } from '../../../../proto/gen/holdfast/v1/coordinator';
import { RestartPolicy } from '../../../../proto/gen/holdfast/v1/manifest';
import { FakeCluster, type User } from '../support/cluster';
import { checkpoints, collect, explain, loseObjects, pinned, remove, setPolicy } from '../support/collecting';

let cluster: FakeCluster;
let user: User;

beforeEach(async () => {
  cluster = await FakeCluster.start(['n1', 'n2']);
  user = cluster.user();
});

afterEach(() => cluster.stop());

const listed = async () => (await checkpoints(user)).map(({ generation }) => generation);

/** A job that was stopped at its last checkpoint. */
async function stoppedJob(count: number): Promise<string> {
  const policy = { restartPolicy: RestartPolicy.ANY_NODES, restartBackoffMs: 1 };
  const { id } = await user.submit({ nodes: ['n2'], ...policy });
  for (let i = 1; i <= count; i++)
    expect(await user.checkpoint(id, i === count)).toMatchObject({ phase: 'DONE' });
  return id;
}

/** The generation has lost its objects, and every restart from it fails. */
async function spoil(job: string, generation: number): Promise<void> {
  await loseObjects(cluster.store, job, generation);
  for (const agent of cluster.agents.values()) {
    agent.overrides.set('stage', (command) => {
      if (command.generation === generation) throw new HoldfastError('CORRUPT', 'another checksum');
      return agent.perform(command);
    });
  }
}

test('the newest in quarantine and the newest that is not both stay, until a commit replaces them', async () => {
  const job = await stoppedJob(3);
  await spoil(job, 3);
  expect(await user.restart(job)).toMatchObject({ phase: 'ABORTED', error: { code: 'CORRUPT' } });
  await setPolicy(user, job, { keepLast: 1 });
  expect((await explain(user, job)).map(({ reason }) => reason)).toEqual([
    'not wanted by last=1',
    'the newest that is not in quarantine, which the job may need (STOPPED)',
    'the newest, which the job may need (STOPPED)',
  ]);
  await collect(user);
  expect(await listed()).toEqual([2, 3]);
  expect(await user.restart(job)).toMatchObject({ phase: 'RUNNING', generation: 2 });
  expect(await user.checkpoint(job)).toMatchObject({ phase: 'DONE', generation: 4 });
  await collect(user);
  expect(await listed()).toEqual([4]);
});

test('what one node does not see is there: the generation gets its second chance', async () => {
  const job = await stoppedJob(2);
  const n2 = cluster.agent('n2');
  n2.overrides.set('stage', () => {
    throw new HoldfastError('OBJECT_MISSING', 'no such file');
  });
  expect(await user.restart(job)).toMatchObject({ phase: 'ABORTED', generation: 2 });
  expect(await checkpoints(user)).toMatchObject([{ quarantine: '' }, { quarantine: '', failedRestarts: 1 }]);
  n2.overrides.clear();
  expect(await user.restart(job)).toMatchObject({ phase: 'RUNNING', generation: 2 });
  expect(await checkpoints(user)).toMatchObject([{}, { failedRestarts: 0 }]);
});

test('a verdict leaves the pin, and a pin the verdict', async () => {
  const job = await stoppedJob(2);
  await spoil(job, 2);
  await pinned(user, 2);
  expect(await user.restart(job)).toMatchObject({ phase: 'ABORTED' });
  const quarantine = expect.stringContaining('CORRUPT');
  expect(await checkpoints(user)).toMatchObject([{ quarantine: '' }, { quarantine, pinned: true }]);
  await pinned(user, 2, false);
  expect((await checkpoints(user))[1]).toMatchObject({ quarantine, pinned: false });
});

test('after a loss a job is restarted from the newest that its owner has not removed', async () => {
  const job = await stoppedJob(2);
  await remove(user, 2);
  expect(await user.restart(job)).toMatchObject({ phase: 'RUNNING', generation: 1 });
  cluster.agent('n2').vanish();
  await user.untilJob(job, ({ state, incarnation }) => {
    return state === JobState.RUNNING && incarnation === 3;
  });
  expect((await user.job(job)).decisions.map(({ reason }) => reason)).toContainEqual(
    expect.stringMatching(/^node n2 was lost; restarting from generation 1\b/),
  );
  expect(await user.checkpoint(job)).toMatchObject({ phase: 'DONE', generation: 3 });
});
