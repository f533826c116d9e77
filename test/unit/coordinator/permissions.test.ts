/** Every call of CoordinatorService, on another user's job, checkpoint and operation, over a real connection. */
import { once } from 'node:events';
import type { Call } from '../../../coordinator/api/handlers';
import { fromGrpcError } from '../../../core/rpc/errors';
import { invoke } from '../../../core/rpc/handlers';
import { SlurmProcess } from '../../../proto/gen/holdfast/v1/agent';
import {
  CoordinatorServiceService,
  JobState,
  SlurmRecord,
  TrackProcessRequest,
  type WatchResponse,
} from '../../../proto/gen/holdfast/v1/coordinator';
import { JobSpec, LiveMode } from '../../../proto/gen/holdfast/v1/manifest';
import { FakeCluster, type User } from './support/cluster';

const OWNER = 1000;
const STRANGER = 1001;
const OPERATOR = 2000;
const ADMIN = 3000;

let cluster: FakeCluster;
/** Of the owner. */
let job: string;
let ckptId: number;
let operation: string;
let exported: Uint8Array[];

beforeAll(async () => {
  const roles = { operators: [String(OPERATOR)], admins: [String(ADMIN)] };
  cluster = await FakeCluster.start(['n1'], undefined, roles);
  // The process that a caller tracks is the owner's.
  cluster.agent('n1').overrides.set('adopt', ({ body }) => {
    if (body?.$case !== 'adopt') throw new Error('no adopt');
    const { treeId, pid } = body.value;
    return { $case: 'started', value: { treeId, rootPid: pid, uid: OWNER, command: 'found' } };
  });
  cluster.agent('n1').overrides.set('discoverSlurm', () => {
    const processes = [SlurmProcess.fromPartial({ jobId: 1, pid: 77, uid: OWNER })];
    return { $case: 'discoveredSlurm', value: { processes } };
  });
  const owner = cluster.user(OWNER);
  job = (await owner.submit({ environment: { TOKEN: 'of-the-owner' } })).id;
  const done = await owner.checkpoint(job);
  [ckptId, operation] = [done.ckptId, done.id];
  await PROBES.reportSlurmJobs(cluster.user(ADMIN));
  exported = [];
  for await (const { part } of owner.client.export({ ckptId }, owner.metadata))
    if (part?.$case === 'data') exported.push(part.value);
});

afterAll(async () => {
  await cluster.stop();
});

/** What is asked of the owner's things. Requests that would change them are wrong behind the check of rights. */
type Probe = (user: User) => Promise<unknown>;

const NO_END = { deadlineMs: 0, walltimeMs: 0 };
const SIGNAL_THAT_IS_NONE = 99;

const PROBES: Readonly<Record<Exclude<Call, 'listNodes'>, Probe>> = {
  submitJob: async ({ client, metadata }) => {
    const spec = JobSpec.fromPartial({ argv: ['/bin/work'], workingDirectory: '/', uid: OWNER, gid: OWNER });
    return (await invoke(client, client.submitJob, { spec, resume: '' }, { metadata })).job?.spec?.uid;
  },
  trackProcess: ({ client, metadata }) =>
    invoke(client, client.trackProcess, TrackProcessRequest.fromPartial({ node: 'n1', pid: 77 }), {
      metadata,
    }),
  launchMember: (user) => user.member(job, 'nowhere'),
  listJobs: async ({ client, metadata }) =>
    (await invoke(client, client.listJobs, { all: true }, { metadata })).jobs.filter(({ id }) => id === job),
  getJob: (user) => user.job(job),
  killJob: ({ client, metadata }) =>
    invoke(client, client.killJob, { job, signal: SIGNAL_THAT_IS_NONE }, { metadata }),
  listCheckpoints: async ({ client, metadata }) =>
    (await invoke(client, client.listCheckpoints, { job }, { metadata })).checkpoints,
  getCheckpoint: ({ client, metadata }) => invoke(client, client.getCheckpoint, { ckptId }, { metadata }),
  checkpoint: (user) => user.checkpoint(job),
  changeDeadline: ({ client, metadata }) =>
    invoke(client, client.changeDeadline, { job, deadlineMs: 1 }, { metadata }),
  restart: ({ client, metadata }) => {
    const source = { $case: 'ckptId', value: ckptId } as const;
    const request = { source, nodes: ['../wrong'], outputPath: '', lazy: false, ...NO_END };
    return invoke(client, client.restart, request, { metadata });
  },
  getOperation: ({ client, metadata }) => invoke(client, client.getOperation, { operation }, { metadata }),
  watch: async (user) => {
    for (const subject of [
      { $case: 'operation', value: operation },
      { $case: 'job', value: job },
    ] as const)
      for await (const event of user.watch(subject)) if (event.event !== undefined) break;
  },
  rebuildCatalog: ({ client, metadata }) => invoke(client, client.rebuildCatalog, {}, { metadata }),
  export: ({ client, metadata }) => client.export({ ckptId }, metadata).toArray(),
  import: async ({ client, metadata }) => {
    let answer: (error: unknown) => void = () => {};
    const answered = new Promise<unknown>((resolve) => {
      answer = resolve;
    });
    const call = client.import(metadata, (error) => answer(error));
    call.on('error', () => {});
    for (const data of exported) call.write({ data });
    call.end();
    const error = await answered;
    if (error !== null) throw error;
  },
  explainRetention: ({ client, metadata }) => invoke(client, client.explainRetention, { job }, { metadata }),
  setRetention: ({ client, metadata }) =>
    invoke(client, client.setRetention, { job, policy: undefined }, { metadata }),
  pinCheckpoint: ({ client, metadata }) =>
    invoke(client, client.pinCheckpoint, { ckptId, pinned: true }, { metadata }),
  collectGarbage: async ({ client, metadata }) => {
    const all = await invoke(client, client.collectGarbage, { job: '', dryRun: false }, { metadata });
    if (all.jobs.some((report) => report.job === job)) throw new Error('a stranger sees the job');
    await invoke(client, client.collectGarbage, { job, dryRun: false }, { metadata });
  },
  getUsage: async ({ client, metadata }) =>
    (await invoke(client, client.getUsage, {}, { metadata })).jobs.filter((usage) => usage.job === job),
  removeCheckpoint: ({ client, metadata }) =>
    invoke(client, client.removeCheckpoint, { ckptId }, { metadata }),
  drain: ({ client, metadata }) =>
    invoke(client, client.drain, { node: 'nowhere', reason: '', restart: false }, { metadata }),
  undrain: ({ client, metadata }) => invoke(client, client.undrain, { node: 'nowhere' }, { metadata }),
  reportSlurmJobs: ({ client, metadata }) => {
    const records = [SlurmRecord.fromPartial({ cluster: 'c', jobId: 1, uid: OWNER, heardMs: Date.now() })];
    return invoke(client, client.reportSlurmJobs, { records }, { metadata });
  },
  listSlurmJobs: async ({ client, metadata }) =>
    (await invoke(client, client.listSlurmJobs, {}, { metadata })).records,
  listSlurmTasks: async ({ client, metadata }) => {
    const selection = { jobId: 1, arrayTask: undefined, hetComponent: undefined };
    return (await invoke(client, client.listSlurmTasks, { selection }, { metadata })).processes;
  },
};

type Outcome = 'denied' | 'hidden' | 'own' | 'allowed';

async function outcomeOf(call: keyof typeof PROBES, uid: number): Promise<Outcome> {
  try {
    const answer = await PROBES[call](cluster.user(uid));
    if (call === 'submitJob') return answer === uid ? 'own' : 'allowed';
    return Array.isArray(answer) && answer.length === 0 ? 'hidden' : 'allowed';
  } catch (thrown) {
    return fromGrpcError(thrown).code === 'PERMISSION_DENIED' ? 'denied' : 'allowed';
  }
}

const HIDDEN: readonly string[] = [
  'listJobs',
  'listCheckpoints',
  'listSlurmJobs',
  'listSlurmTasks',
  'getUsage',
];
const refusal = (call: string): Outcome => {
  if (call === 'submitJob') return 'own';
  return HIDDEN.includes(call) ? 'hidden' : 'denied';
};

const OF_OPERATORS: ReadonlySet<string> = new Set<Call>([
  ...(['listJobs', 'getJob', 'killJob', 'listCheckpoints', 'getCheckpoint', 'checkpoint'] as const),
  ...(['changeDeadline', 'getOperation', 'watch', 'explainRetention', 'getUsage'] as const),
  ...(['drain', 'undrain', 'listSlurmJobs', 'listSlurmTasks'] as const),
]);

// Nodes are nobody's.
const CALLS = Object.keys(CoordinatorServiceService).filter((name) => name !== 'listNodes');

test.each(CALLS)('%s: refused to a stranger, allowed as far as the role goes', async (name) => {
  const call = name as keyof typeof PROBES;
  expect({ call, outcome: await outcomeOf(call, STRANGER) }).toEqual({ call, outcome: refusal(call) });
  const ofOperators = OF_OPERATORS.has(call) ? 'allowed' : refusal(call);
  expect({ call, operator: await outcomeOf(call, OPERATOR) }).toEqual({ call, operator: ofOperators });
  expect({ call, admin: await outcomeOf(call, ADMIN) }).toEqual({ call, admin: 'allowed' });
});

test('an operator sees no environment of others, in no answer', async () => {
  const operator = cluster.user(OPERATOR);
  const events: WatchResponse[] = [];
  for await (const event of operator.watch({ $case: 'job', value: job })) {
    events.push(event);
    break;
  }
  const answers = [PROBES.listJobs(operator), PROBES.getJob(operator), PROBES.getCheckpoint(operator)];
  const shown = JSON.stringify([events, await Promise.all(answers)]);
  expect(shown).toContain('/bin/work');
  expect(shown).not.toContain('of-the-owner');
  expect(JSON.stringify(await PROBES.getJob(cluster.user(OWNER)))).toContain('of-the-owner');
});

test('an operator looks at what would be removed, of everybody', async () => {
  const { client, metadata } = cluster.user(OPERATOR);
  const request = { job, dryRun: true };
  expect((await invoke(client, client.collectGarbage, request, { metadata })).jobs).toHaveLength(1);
  const stranger = cluster.user(STRANGER);
  await expect(
    invoke(stranger.client, stranger.client.collectGarbage, request, { metadata: stranger.metadata }),
  ).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
});

test('a caller that left before it was known who it is leaves nothing behind', async () => {
  const { client, metadata } = cluster.user(OWNER);
  const stream = client.watch({ subject: { $case: 'job', value: job }, after: '' }, metadata);
  stream.on('error', () => {});
  stream.cancel();
  await once(stream, 'end').catch(() => {});
  expect((await cluster.user(OWNER).job(job)).state).toBe(JobState.RUNNING);
});

describe('ckpt_unpriv_allowed', () => {
  const set = (unprivilegedAllowed: 0 | 1 | 2) => {
    cluster.extraOptions = { ...cluster.extraOptions, unprivilegedAllowed };
    cluster.coordinator?.reload({ ...cluster.options(), listen: '127.0.0.1:0' });
  };
  const denied = { code: 'PERMISSION_DENIED', message: expect.stringContaining('ckpt_unpriv_allowed is') };

  afterAll(() => set(2));

  test('0: neither checkpoints, schedules, restarts nor imports without a role', async () => {
    set(0);
    const owner = cluster.user(OWNER);
    await expect(owner.checkpoint(job)).rejects.toMatchObject(denied);
    await expect(owner.restart(job)).rejects.toMatchObject(denied);
    await expect(PROBES.trackProcess(owner)).rejects.toMatchObject(denied);
    await expect(owner.submit({ intervalMs: 60_000 })).rejects.toMatchObject(denied);
    await expect(PROBES.import(owner)).rejects.toThrow('ckpt_unpriv_allowed is 0');
    expect((await owner.submit()).state).toBe(JobState.RUNNING);
    expect(await cluster.user(OPERATOR).checkpoint(job)).toMatchObject({ phase: 'DONE' });
  });

  test('1: checkpoints and schedules, no restart', async () => {
    set(1);
    const owner = cluster.user(OWNER);
    expect(await owner.checkpoint(job)).toMatchObject({ phase: 'DONE' });
    expect((await owner.submit({ intervalMs: 60_000 })).state).toBe(JobState.RUNNING);
    await expect(owner.restart(job)).rejects.toMatchObject(denied);
    await expect(cluster.user(OPERATOR).restart(job)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    expect(await cluster.user(ADMIN).restart(job)).toMatchObject({ phase: 'RUNNING' });
  });

  test('2: restarts, too', async () => {
    set(2);
    const owner = cluster.user(OWNER);
    expect(await owner.checkpoint(job, true)).toMatchObject({ phase: 'DONE' });
    expect(await owner.restart(job)).toMatchObject({ phase: 'RUNNING' });
    expect((await owner.job(job)).spec).toMatchObject({ uid: OWNER, live: LiveMode.UNSPECIFIED });
  });
});
