/** How jobs begin: started in a cell of their own, or taken over as they run. */
import { HoldfastError, toHoldfastError } from '../../core/errors';
import { isNodeName, newJobId, requireName } from '../../core/ids';
import type { TreeStarted } from '../../proto/gen/holdfast/v1/agent';
import { type Job, JobState, type TrackProcessRequest } from '../../proto/gen/holdfast/v1/coordinator';
import { JobSpec } from '../../proto/gen/holdfast/v1/manifest';
import { type Caller, hasRole, RULES } from '../api/authorize';
import type { Context } from '../context';
import { TIMEOUTS_MS } from '../timeouts';
import { killTrees } from './kill';
import { checkWishes, deadlineOf } from './spec';

const MAIN = 'main';

/** @param spec checked; its first node, the caller's, or the first one alive runs it, if it is not drained */
export async function submitJob(context: Context, caller: Caller, spec: JobSpec): Promise<Job> {
  const { drains, fleet } = context;
  const isOpen = (name: string) => drains.find(name) === undefined;
  const own = caller.node !== null && isOpen(caller.node) ? caller.node : undefined;
  const node = spec.nodes[0] ?? own ?? fleet.nodes().find(({ alive, name }) => alive && isOpen(name))?.name;
  // Slurm chooses the nodes of its jobs.
  if (node !== undefined && spec.slurm === undefined) drains.requireOpen(node);
  const job = await createJob(context, requireAlive(context, node), spec, false);
  const value = { treeId: MAIN, main: true, spec, incarnation: job.incarnation, waitForCommand: false };
  return begin(context, job, (target, scope) =>
    context.fleet.command(target, { $case: 'launch', value }, scope, { timeoutMs: TIMEOUTS_MS.launch }),
  );
}

/** @param pid in the node's pid namespace; the agent checks whose it is */
export async function trackProcess(
  context: Context,
  caller: Caller,
  request: TrackProcessRequest,
): Promise<Job> {
  const isCallersNode = request.node === '' || request.node === caller.node;
  const node = requireAlive(context, request.node || caller.node || undefined);
  // "The caller" means something on its own node only.
  const pid = request.pid === 0 && isCallersNode ? caller.pid : request.pid;
  if (pid < 1)
    throw new HoldfastError('INVALID_ARGUMENT', `pid ${request.pid} names no process on node ${node}`);
  const actsForAll = hasRole(caller, RULES.trackProcess.others);
  const { adaptive, intervalMs, name, retention, startTicks } = request;
  const owner = { uid: caller.uid, gid: caller.gid };
  const wishes = { name, adaptive, intervalMs, retention };
  const spec = checkWishes(JobSpec.fromPartial({ ...owner, ...wishes, nodes: [node] }));
  const job = await createJob(context, node, spec, true);
  const callerUid = actsForAll ? 0 : caller.uid;
  const value = { treeId: MAIN, pid, callerUid, startTicks, incarnation: job.incarnation };
  return begin(context, job, async (target, scope) => {
    const options = { timeoutMs: TIMEOUTS_MS.launch };
    const started = await context.fleet.command(target, { $case: 'adopt', value }, scope, options);
    if (!actsForAll && started.uid !== caller.uid) {
      throw new HoldfastError('PERMISSION_DENIED', `process ${pid} on node ${node} is not yours`);
    }
    return started;
  });
}

function requireAlive({ fleet }: Context, node: string | undefined): string {
  if (node === undefined || node === '') {
    throw new HoldfastError('NODE_UNAVAILABLE', 'no node was named and none is connected', 'start an agent');
  }
  requireName('node name', node, isNodeName);
  if (fleet.isAlive(node)) return node;
  throw new HoldfastError(
    'NODE_UNAVAILABLE',
    `node ${node} is not connected`,
    'start its agent, or name another',
  );
}

function createJob({ clock, jobs }: Context, node: string, spec: JobSpec, tracked: boolean): Promise<Job> {
  return jobs.put({
    id: newJobId(clock.wallMs()),
    spec,
    state: JobState.STARTING,
    trees: [{ treeId: MAIN, node, rootPid: 0, main: true }],
    incarnation: 1,
    lastGeneration: 0,
    reason: '',
    createdMs: clock.wallMs(),
    endedMs: 0,
    restartCount: 0,
    tracked,
    filling: [],
    addressAliases: [],
    restoredGeneration: 0,
    schedule: undefined,
    decisions: [],
    restartsSinceCommit: 0,
    stopCause: '',
    deadlineMs: deadlineOf(spec, clock.wallMs()),
  });
}

type Start = (
  node: string,
  scope: { job: string; generation: number; epoch: number },
) => Promise<TreeStarted>;

/** Durable before the command, so that a tree that starts is never one of an unknown job. */
function begin(context: Context, job: Job, start: Start): Promise<Job> {
  return context.launches.during(job.id, MAIN, () => started(context, job, start));
}

async function started(context: Context, job: Job, start: Start): Promise<Job> {
  const { jobs, counters, clock, log } = context;
  const node = job.trees[0]?.node ?? '';
  try {
    const epoch = await counters.nextEpoch(job.id);
    const answer = await start(node, { job: job.id, generation: 0, epoch });
    log.info({ job: job.id, node, rootPid: answer.rootPid }, 'job started');
    return await jobs.update(job.id, (now) => ({
      // A short job may have ended before its start was answered.
      state: now.state === JobState.STARTING ? JobState.RUNNING : now.state,
      trees: now.trees.map((tree) => (tree.main ? { ...tree, rootPid: answer.rootPid } : tree)),
      spec: now.tracked && now.spec ? trackedSpec(now.spec, answer) : now.spec,
    }));
  } catch (thrown) {
    const error = toHoldfastError(thrown);
    const ended = { state: JobState.FAILED, reason: error.message, endedMs: clock.wallMs() };
    await jobs.update(job.id, () => ended);
    // Without an answer it is not known whether it started. What was only tracked is not ours to end.
    if (!job.tracked) await killTrees(context, job.id, 9);
    await jobs.update(job.id, () => ({ trees: [] }));
    throw error;
  }
}

function trackedSpec(spec: JobSpec, started: TreeStarted): JobSpec {
  return { ...spec, argv: [started.command], uid: started.uid };
}
