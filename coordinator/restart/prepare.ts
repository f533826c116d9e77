/** PLAN: which generation, and which nodes take it over. */
import { HoldfastError, toHoldfastError } from '../../core/errors';
import type { Job } from '../../proto/gen/holdfast/v1/coordinator';
import { type Manifest, RestartPolicy } from '../../proto/gen/holdfast/v1/manifest';
import type { Context } from '../context';
import { hasMain } from '../state/jobs';
import type { OperationRequest } from '../state/operations';
import { chooseGeneration } from './generations';
import { type Placement, planRestart } from './planner';
import { noteFailedRestart } from './quarantine';

export type RestartRequest = Extract<OperationRequest, { kind: 'restart' }>;

/** Slurm chooses the nodes of its jobs. */
const NONE: ReadonlySet<string> = new Set();

const STORE_RETRY_MS = 10_000;

/**
 * An automatic restart outlives an outage of the store as long as it would wait for nodes.
 * @throws HoldfastError as manifestFor; WRONG_STATE when the job runs after all; what the signal was aborted with
 */
export async function manifestWhenThere(
  context: Context,
  job: Job,
  request: RestartRequest,
  signal: AbortSignal,
): Promise<Manifest> {
  const { clock, jobs, log } = context;
  const deadlineMs = clock.monotonicMs() + waitMsOf(context, request);
  for (;;) {
    try {
      return await manifestFor(context, job, request);
    } catch (thrown) {
      const { code, message } = toHoldfastError(thrown);
      const remainingMs = deadlineMs - clock.monotonicMs();
      if (code !== 'STORE_UNAVAILABLE' || remainingMs <= 0) throw thrown;
      log.warn({ job: job.id, err: thrown }, 'the restart waits for the store');
      await jobs.update(job.id, () => ({ reason: `its restart waits for the store: ${message}` }));
      await nextChange(context, Math.min(STORE_RETRY_MS, remainingMs), signal);
      signal.throwIfAborted();
      requireStillNeeded(context, job.id);
    }
  }
}

/** A user is told at once. */
function waitMsOf({ policies }: Context, { automatic }: RestartRequest): number {
  return automatic ? policies().restartWaitMs : 0;
}

/** Of the checkpoint that was named, whatever is known of it; else of the newest that is there and not in quarantine. */
async function manifestFor(context: Context, job: Job, request: RestartRequest): Promise<Manifest> {
  const { catalog } = context;
  if (request.ckptId !== null)
    return catalog.manifest(job.id, (await catalog.get(request.ckptId)).generation);
  const removed = new Map<number, HoldfastError>();
  for (;;) {
    const known = (await catalog.list(job.id)).filter((each) => !removed.has(each.generation));
    const newest = removed.has(job.lastGeneration) ? 0 : job.lastGeneration;
    const { generation, reason } = chooseGeneration(newest, known);
    if (generation === null) {
      const [gone] = [...removed.values()];
      if (known.length === 0 && gone !== undefined) throw gone;
      const remedy = 'restart from one of them by its id: see `holdfast checkpoints`';
      throw new HoldfastError('NOT_FOUND', `job ${job.id} cannot be restarted: ${reason}`, remedy);
    }
    try {
      return await catalog.manifest(job.id, generation);
    } catch (thrown) {
      const error = toHoldfastError(thrown);
      // Without its manifest it does not exist (C1): it was removed.
      if (error.code === 'NOT_FOUND') {
        removed.set(generation, error);
        context.decisions.note(job.id, 'restart', error.message);
      } else if (!(await noteFailedRestart(context, job.id, generation, error, false))) throw thrown;
    }
  }
}

/**
 * An automatic restart waits for a node that can take the job; a user is told at once, unless the coordinator has just
 * started and does not know yet who is there.
 * @throws HoldfastError NO_CAPABLE_NODE with the reason for every node; WRONG_STATE when the job runs after all; what the
 *   signal was aborted with
 */
export async function placementsFor(
  context: Context,
  job: Job,
  manifest: Manifest,
  request: RestartRequest,
  signal: AbortSignal,
): Promise<Placement[]> {
  const { clock, drains, fleet, log } = context;
  const deadlineMs = clock.monotonicMs() + waitMsOf(context, request);
  for (;;) {
    signal.throwIfAborted();
    if (request.automatic) {
      requireStillNeeded(context, job.id);
      if (fleet.isSettling) {
        await nextChange(context, Infinity, signal);
        continue;
      }
    }
    const plan = planRestart({
      parts: manifest.nodes,
      nodes: fleet.nodes().filter(({ name }) => fleet.isAlive(name)),
      requested: request.nodes,
      preferred: job.spec?.nodes ?? [],
      // The policy limits what the coordinator does by itself, not what a user asks for.
      policy:
        request.automatic || request.drains
          ? (job.spec?.restartPolicy ?? RestartPolicy.UNSPECIFIED)
          : RestartPolicy.ANY_NODES,
      load: loadOf(context, job.id),
      drained: job.spec?.slurm ? NONE : drains.nodes,
    });
    if (plan.ok) return plan.placements;
    const remainingMs = deadlineMs - clock.monotonicMs();
    if (remainingMs <= 0 && !fleet.isSettling) {
      throw new HoldfastError('NO_CAPABLE_NODE', plan.reason, 'add a node or start its agent');
    }
    log.warn({ job: job.id, reason: plan.reason }, 'the restart waits for a node');
    await nextChange(context, request.automatic ? remainingMs : Infinity, signal);
  }
}

/** Nodes that were only cut off, and are all back with their trees before anything was done: the job runs on. */
function requireStillNeeded({ fleet, jobs }: Context, id: string): void {
  // As it is now: trees may have ended since the restart was asked for.
  const job = jobs.get(id);
  const { incarnation, trees } = job;
  const isWhole =
    hasMain(job) &&
    trees.every(({ node, treeId }) => fleet.stillHosts(node, { job: id, treeId, incarnation }));
  if (isWhole) throw new HoldfastError('WRONG_STATE', `all nodes of job ${id} are back with it: it runs on`);
}

function loadOf({ jobs }: Context, exceptJob: string): Map<string, number> {
  const load = new Map<string, number>();
  for (const job of jobs.all()) {
    if (job.id === exceptJob) continue;
    for (const { node } of job.trees) load.set(node, (load.get(node) ?? 0) + 1);
  }
  return load;
}

/** Until a node comes or goes, the time is over, or nobody wants the plan any more. */
function nextChange({ clock, drains, fleet }: Context, withinMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      for (const stop of stops) stop();
      resolve();
    };
    const stops = [
      fleet.registered.subscribe(end),
      fleet.lost.subscribe(end),
      drains.changed.subscribe(end),
      () => signal.removeEventListener('abort', end),
    ];
    signal.addEventListener('abort', end);
    if (Number.isFinite(withinMs)) stops.push(clock.after(withinMs, end));
  });
}
