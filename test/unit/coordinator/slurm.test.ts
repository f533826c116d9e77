/** Jobs that are part of a Slurm job: which run of a script is which job, and what the end of a step means. */
import { earlierRun, newestResumable } from '../../../coordinator/slurm/earlier';
import { invoke } from '../../../core/rpc/handlers';
import { Job, JobState, type SubmitJobResponse } from '../../../proto/gen/holdfast/v1/coordinator';
import { JobSpec, LiveMode, RestartPolicy, type SlurmTask } from '../../../proto/gen/holdfast/v1/manifest';
import { FakeCluster, type User } from './support/cluster';

const KEY = 'ab12';
const task = (restartCount: number, more: Partial<SlurmTask> = {}): SlurmTask => ({
  ...{
    cluster: 'sim',
    jobId: 12,
    restartCount,
    key: KEY,
    requeue: true,
    supersededBy: '',
    ended: '',
    attempt: '',
  },
  ...more,
});

describe('which job of an earlier run it is', () => {
  const job = (id: string, createdMs: number, slurm: SlurmTask, more: Partial<Job> = {}): Job =>
    Job.fromPartial({
      id,
      createdMs,
      state: JobState.STOPPED,
      lastGeneration: 1,
      spec: { uid: 7, slurm },
      ...more,
    });
  const found = (jobs: Job[], wanted: SlurmTask, uid = 7) => earlierRun(jobs, uid, wanted)?.id;

  test('the oldest that this run has not asked for', () => {
    const jobs = [job('b', 2, task(0)), job('a', 1, task(1)), job('c', 3, task(0))];
    expect(found(jobs, task(1))).toBe('b');
    expect(found(jobs, task(2))).toBe('a');
    expect(found(jobs, task(0))).toBeUndefined();
  });

  test.each<[string, SlurmTask, number]>([
    ['another user', task(1), 8],
    ['another command', task(1, { key: 'cd' }), 7],
    ['another Slurm job', task(1, { jobId: 13 }), 7],
    ['another cluster', task(1, { cluster: 'other' }), 7],
  ])('not that of %s', (_title, wanted, uid) =>
    expect(found([job('a', 1, task(0))], wanted, uid)).toBeUndefined(),
  );

  test('not one that another has begun anew for', () => {
    const jobs = [job('a', 1, task(0, { supersededBy: 'b' })), job('b', 2, task(1))];
    expect(found(jobs, task(2))).toBe('b');
  });

  test('to resume: the newest that has ended before its time and has a checkpoint', () => {
    const jobs = [
      job('a', 1, task(0)),
      job('b', 2, task(0, { jobId: 13 }), { state: JobState.LOST }),
      job('c', 3, task(0), { state: JobState.COMPLETED }),
      job('d', 4, task(0), { lastGeneration: 0 }),
      job('e', 5, task(0), { state: JobState.RUNNING }),
    ];
    expect(newestResumable(jobs, 7, KEY)?.id).toBe('b');
    expect(newestResumable(jobs, 7, 'cd')).toBeUndefined();
  });
});

test('coordinator.slurm.claimed: asked again, the next coordinator restarts what was only claimed', async () => {
  const cluster = await FakeCluster.start(['n1', 'n2'], 'coordinator.slurm.claimed');
  try {
    for (const agent of cluster.agents.values()) agent.returns = true;
    const user = cluster.user();
    const submit = async (slurm: SlurmTask, nodes: string[]) => {
      const spec = JobSpec.fromPartial({ argv: ['/bin/work'], workingDirectory: '/', nodes, slurm });
      return invoke(user.client, user.client.submitJob, { spec, resume: '' }, { metadata: user.metadata });
    };
    const { job } = await submit(task(0), ['n1']);
    await user.checkpoint(job?.id ?? '', true);
    const again = task(1, { attempt: 'a1' });
    await expect(submit(again, ['n2'])).rejects.toMatchObject({ code: 'COORDINATOR_UNAVAILABLE' });
    expect(await cluster.died()).toBe('SIGKILL');
    await cluster.startProcess('');
    const answer = await submit(again, ['n2']);
    expect(answer.job?.id).toBe(job?.id);
    expect(await user.ended(answer.operation)).toMatchObject({ phase: 'RUNNING' });
  } finally {
    await cluster.stop();
  }
});

describe('with a coordinator', () => {
  let cluster: FakeCluster;
  let user: User;
  beforeEach(async () => {
    cluster = await FakeCluster.start(['n1', 'n2', 'n3']);
    user = cluster.user();
  });
  afterEach(() => cluster.stop());

  const submit = (slurm: SlurmTask, nodes: string[], resume = '', spec: Partial<JobSpec> = {}) => {
    const full = { argv: ['/bin/work'], workingDirectory: '/', nodes, slurm, ...spec };
    const request = { spec: JobSpec.fromPartial(full), resume };
    return invoke(user.client, user.client.submitJob, request, { metadata: user.metadata });
  };
  const begun = async (nodes = ['n1']): Promise<Job> => jobOf(await submit(task(0), nodes));
  const jobOf = ({ job }: SubmitJobResponse): Job => {
    if (job === undefined) throw new Error('no job');
    return job;
  };

  test('a requeued script goes on from its last checkpoint, on the nodes and in the seat that it has now', async () => {
    const first = await begun();
    expect(first.spec?.restartPolicy).toBe(RestartPolicy.NEVER);
    await user.checkpoint(first.id);
    cluster.agent('n1').endTree('main', { signal: 9, seatGone: true });
    const stopped = await user.until(first.id, JobState.STOPPED);
    expect(stopped.reason).toBe('its task on node n1 was ended: Slurm job 12 ended or was requeued');

    const again = await submit(task(1), ['n2']);
    expect(again).toMatchObject({ job: { id: first.id }, completedEarlier: false });
    expect(await user.ended(again.operation)).toMatchObject({ phase: 'RUNNING' });
    const running = await user.job(first.id);
    expect(running.trees.map(({ node }) => node)).toEqual(['n2']);
    expect(running.spec?.slurm?.restartCount).toBe(1);
    const [stage] = cluster.agent('n2').commands('stage');
    expect(stage?.body).toMatchObject({ value: { seat: 'slurm-sim-12' } });
  });

  test('one that is at work elsewhere is ended there first', async () => {
    const first = await begun();
    await user.checkpoint(first.id);
    const again = await submit(task(1), ['n2']);
    expect(await user.ended(again.operation)).toMatchObject({ phase: 'RUNNING' });
    expect(cluster.agent('n1').of(first.id)).toEqual([]);
  });

  test('a lost node loses the job, and the next run goes on with it', async () => {
    const first = await begun(['n1']);
    await user.checkpoint(first.id);
    cluster.agent('n1').vanish();
    expect((await user.until(first.id, JobState.LOST)).reason).toContain('Slurm job 12 is what restarts it');
    const again = await submit(task(1), ['n3']);
    expect(await user.ended(again.operation)).toMatchObject({ phase: 'RUNNING' });
  });

  test('a request that is asked again since its answer was lost gets the same job', async () => {
    const asked = task(0, { attempt: 'a1' });
    const first = jobOf(await submit(asked, ['n1']));
    expect(jobOf(await submit(asked, ['n1'])).id).toBe(first.id);
    expect(jobOf(await submit(task(0, { attempt: 'a2' }), ['n1'])).id).not.toBe(first.id);
  });

  test('Slurm chooses the nodes, drained or not; a drain that moves jobs stops one that Slurm runs again', async () => {
    const { metadata, client } = cluster.user(0);
    const first = await begun();
    await user.checkpoint(first.id);
    await invoke(client, client.drain, { node: 'n1', reason: 'fan', restart: true }, { metadata });
    expect(await user.until(first.id, JobState.STOPPED)).toMatchObject({ stopCause: 'drain' });
    const again = await submit(task(1), ['n1']);
    expect(await user.ended(again.operation)).toMatchObject({ phase: 'RUNNING' });
  });

  test('what was completed is not run again, and the same command once more is another job', async () => {
    const first = await begun();
    cluster.agent('n1').endTree('main', { exitCode: 0 });
    await user.until(first.id, JobState.COMPLETED);
    expect(await submit(task(1), ['n2'])).toMatchObject({ job: { id: first.id }, completedEarlier: true });
    const second = await submit(task(1), ['n2']);
    expect(second).toMatchObject({ operation: '', completedEarlier: false });
    expect(jobOf(second).id).not.toBe(first.id);
  });

  test('without a checkpoint it begins anew, and the run after that goes on with the new one', async () => {
    const first = await begun();
    cluster.agent('n1').endTree('main', { signal: 9, seatGone: true });
    await user.until(first.id, JobState.FAILED);
    const second = jobOf(await submit(task(1), ['n2']));
    expect(second.id).not.toBe(first.id);
    await user.checkpoint(second.id);
    const third = await submit(task(2), ['n3']);
    expect(jobOf(third).id).toBe(second.id);
    await user.ended(third.operation);
  });

  test('a new Slurm job resumes by name, and by the command', async () => {
    const first = await begun();
    await user.checkpoint(first.id, true);
    const other = { jobId: 99 };
    const named = await submit(task(0, other), ['n2'], first.id);
    expect(await user.ended(named.operation)).toMatchObject({ phase: 'RUNNING' });
    await user.checkpoint(first.id, true);
    const found = await submit(task(0, { jobId: 100 }), ['n3'], 'auto');
    expect(jobOf(found).id).toBe(first.id);
    await user.ended(found.operation);
    await expect(submit(task(0, { jobId: 101 }), ['n3'], first.id)).rejects.toMatchObject({
      code: 'WRONG_STATE',
    });
  });

  test('an end of a tree that is no end of its step is a failure', async () => {
    const first = await begun();
    await user.checkpoint(first.id);
    cluster.agent('n1').endTree('main', { signal: 9 });
    expect(await user.until(first.id, JobState.FAILED)).toMatchObject({ exitCode: 137 });
  });

  test('a stop for a cause says so, and a deadline can move', async () => {
    const first = await begun();
    const { metadata, client } = user;
    const deadlineMs = Date.now() + 3_600_000;
    await invoke(client, client.changeDeadline, { job: first.id, deadlineMs }, { metadata });
    expect(await user.job(first.id)).toMatchObject({ deadlineMs, schedule: { kind: 'deadline' } });
    const request = { job: first.id, stop: true, live: LiveMode.AUTO, now: true, cause: 'preempt' };
    const wrong = invoke(client, client.checkpoint, { ...request, cause: 'mood' }, { metadata });
    await expect(wrong).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    const { operation } = await invoke(client, client.checkpoint, request, { metadata });
    await user.ended(operation);
    expect(await user.job(first.id)).toMatchObject({ state: JobState.STOPPED, stopCause: 'preempt' });
  });

  test.each<[Partial<SlurmTask>, string[]]>([
    [{ cluster: '../x' }, ['n1']],
    [{ jobId: 0 }, ['n1']],
    [{ key: '' }, ['n1']],
    [{}, []],
  ])('refused: %j on %j', async (more, nodes) => {
    await expect(submit(task(0, more), nodes)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});
