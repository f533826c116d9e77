/** What a node's Register says about the jobs: stale trees to kill (E3), and trees that are gone with a reboot. */
import { toHoldfastError } from '../../core/errors';
import type { HostedTree, Register } from '../../proto/gen/holdfast/v1/agent';
import { type Job, JobState } from '../../proto/gen/holdfast/v1/coordinator';
import type { Context } from '../context';
import { hasMain, isEnded, nodesOf } from '../state/jobs';
import { TIMEOUTS_MS } from '../timeouts';
import { handleLoss, nodeCause } from './loss';

/** The incarnation below which the job's trees must go; null: nothing is stale. Pure. */
export function staleBelow(job: Job, tree: HostedTree): number | null {
  // Of a job that was cut off as a whole, and may come back.
  const isAwaited = job.state === JobState.LOST && job.trees.some(({ treeId }) => treeId === tree.treeId);
  if (isAwaited && tree.incarnation === job.incarnation) return null;
  const oldestAllowed = isEnded(job) ? job.incarnation + 1 : job.incarnation;
  return tree.incarnation < oldestAllowed ? oldestAllowed : null;
}

export async function nodeRegistered(context: Context, register: Register): Promise<void> {
  const below = new Map<string, number>();
  await noteHosted(context, register);
  await reviveWhole(context, register);
  for (const tree of register.trees) {
    const job = context.jobs.find(tree.job);
    if (job === undefined) {
      // Not ours to judge: another cluster's, or of a state that was lost.
      context.log.warn({ node: register.node, ...tree }, 'the node hosts a tree of an unknown job');
      continue;
    }
    const oldestAllowed = staleBelow(job, tree);
    if (oldestAllowed !== null) below.set(job.id, oldestAllowed);
  }
  const kills = [...below].map(([job, oldest]) => killStale(context, register.node, job, oldest));
  await Promise.all([...kills, reportMissing(context, register)]);
}

/**
 * What a node hosts of a job's current incarnation is part of the job: a member whose launch was never answered
 * because its agent restarted, or any tree of a job that was rebuilt from the store (incarnation 0).
 */
async function noteHosted(context: Context, { node, trees }: Register): Promise<void> {
  const { jobs, gathering, log } = context;
  for (const { job, treeId, incarnation, rootPid } of trees) {
    const known = jobs.find(job);
    if (known === undefined) continue;
    // Of a rebuilt job nobody knows the incarnation: it is the newest that any node hosts.
    const isNewer = incarnation > known.incarnation && gathering.remainingMs(known) > 0;
    const isRebuilt = known.incarnation === 0 || isNewer;
    const isCurrent = known.state === JobState.RUNNING && known.incarnation === incarnation;
    if (!isRebuilt && !isCurrent) continue;
    const placed = known.trees.find((tree) => tree.treeId === treeId);
    // After a restart of the coordinator all nodes say what is on record: writing it again would take longer than leases.
    if (!isRebuilt && placed?.node === node && placed.rootPid === rootPid) continue;
    // A tree of an incarnation is on one node only, the one that was told to start it: nobody else can claim it.
    if (!isRebuilt && placed !== undefined && placed.node !== node) {
      log.warn({ job, node, treeId, placed: placed.node }, 'the node claims a tree of another one');
      continue;
    }
    const hosted = { treeId, node, rootPid, main: treeId === 'main' };
    await jobs.update(job, (now) => ({
      trees: [...(isRebuilt ? [] : now.trees.filter((tree) => tree.treeId !== treeId)), hosted],
      ...(isRebuilt ? { state: JobState.RUNNING, incarnation, reason: '', endedMs: 0 } : {}),
    }));
    if (!isRebuilt) continue;
    for (const other of nodesOf(known).filter((name) => name !== node))
      void killStale(context, other, job, incarnation);
  }
}

/** A job that was given up when it was cut off as a whole goes on when all its trees are back. */
async function reviveWhole({ fleet, jobs, log }: Context, register: Register): Promise<void> {
  for (const id of new Set(register.trees.map(({ job }) => job))) {
    const job = jobs.find(id);
    if (job?.state !== JobState.LOST || !hasMain(job)) continue;
    const isBack = job.trees.every(({ node, treeId }) =>
      fleet.stillHosts(node, { job: id, treeId, incarnation: job.incarnation }),
    );
    if (!isBack) continue;
    log.warn({ job: id }, 'a lost job is back as a whole');
    await jobs.update(id, () => ({ state: JobState.RUNNING, reason: '', endedMs: 0 }));
  }
}

async function killStale(
  context: Context,
  node: string,
  job: string,
  belowIncarnation: number,
): Promise<void> {
  const { fleet, counters, log } = context;
  // With the last epoch, and a bound: it ends no newer tree and disturbs no operation that is in flight there.
  const scope = { job, generation: 0, epoch: await counters.currentEpoch(job) };
  log.info({ job, node, belowIncarnation }, 'killing stale trees');
  try {
    const value = { signal: 9, belowIncarnation };
    await fleet.command(node, { $case: 'kill', value }, scope, { timeoutMs: TIMEOUTS_MS.kill });
  } catch (thrown) {
    log.error({ job, node, err: toHoldfastError(thrown) }, 'stale trees not killed');
  }
}

/**
 * Trees we placed there that the node does not have. Ends it has not reported so far arrive before its next
 * heartbeat; what is missing after that went with the node.
 */
async function reportMissing(context: Context, register: Register): Promise<void> {
  const { fleet, jobs } = context;
  const isMissing = (job: Job) =>
    job.state === JobState.RUNNING &&
    job.trees.some(({ node, treeId }) => node === register.node && isGone(context, register, job, treeId));
  const suspects = jobs.all().filter(isMissing);
  if (suspects.length === 0 || (await fleet.awaitRenewal(register.node)) === 'lost') return;
  for (const { id, incarnation } of suspects) {
    if (isMissing(jobs.get(id))) await handleLoss(context, id, incarnation, nodeCause(register.node));
  }
}

function isGone({ launches }: Context, { trees }: Register, job: Job, treeId: string): boolean {
  const isHosted = trees.some(
    (tree) => tree.job === job.id && tree.treeId === treeId && tree.incarnation === job.incarnation,
  );
  return !isHosted && !launches.has(job.id, treeId);
}
