/** Trees on further nodes: what an MPI launcher starts through us instead of ssh. */
import { type ErrorCode, HoldfastError } from '../../core/errors';
import { JobState, type LaunchMemberRequest } from '../../proto/gen/holdfast/v1/coordinator';
import type { JobSpec } from '../../proto/gen/holdfast/v1/manifest';
import type { Context } from '../context';
import { TIMEOUTS_MS } from '../timeouts';
import { checkEnvironment, checkPath, checkTexts, invalid } from './spec';

/**
 * The tree runs under the job's user, whoever asks; the caller was checked.
 * @returns the command's exit code; 0 also for one that goes on after the agent's grace time, as a launcher's daemon may
 * for as long as the job lives
 */
export async function launchMember(context: Context, request: LaunchMemberRequest): Promise<number> {
  const { jobs, fleet, counters, locks, launches } = context;
  const node = nodeOfHost(context, request.host);
  if (context.jobs.get(request.job).spec?.slurm === undefined) context.drains.requireOpen(node);
  const treeId = `m${await counters.nextMember(request.job)}`;
  let epoch: number;
  do {
    // E2: a tree must not appear in the middle of a checkpoint or restart of its job.
    await locks.untilIdle(request.job);
    // An operation that began while it was read has taken a newer one (E1).
    epoch = await counters.currentEpoch(request.job);
  } while (locks.isBusy(request.job));

  // From here to the record's change nothing is awaited: an operation that begins now knows of the tree, and a checkpoint waits for it.
  const job = jobs.get(request.job);
  if (job.state !== JobState.RUNNING && job.state !== JobState.STARTING) {
    throw new HoldfastError('WRONG_STATE', `job ${job.id} is ${job.state}, not running`);
  }
  const spec = memberSpec(job.spec, request);
  const tree = { treeId, node, rootPid: 0, main: false };
  const value = { treeId, main: false, spec, incarnation: job.incarnation, waitForCommand: true };
  const scope = { job: job.id, generation: 0, epoch };
  return launches.during(job.id, treeId, async () => {
    try {
      await jobs.update(job.id, (now) => ({ trees: [...now.trees, tree] }));
      const options = { timeoutMs: TIMEOUTS_MS.launch };
      const started = await fleet.command(node, { $case: 'launch', value }, scope, options);
      await jobs.update(job.id, (now) => ({
        trees: now.trees.map((old) => (old.treeId === treeId ? { ...old, rootPid: started.rootPid } : old)),
      }));
      return started.commandExitCode ?? 0;
    } catch (thrown) {
      // Without the agent's answer it is not known whether the tree is there: it stays in the record, and a loss becomes
      // the job's.
      if (!isUnanswered(thrown)) {
        await jobs.update(job.id, (now) => ({ trees: now.trees.filter((old) => old.treeId !== treeId) }));
      }
      throw thrown;
    }
  });
}

const UNANSWERED: ReadonlySet<ErrorCode> = new Set(['NODE_LOST', 'TIMEOUT', 'COORDINATOR_UNAVAILABLE']);

function isUnanswered(thrown: unknown): boolean {
  return thrown instanceof HoldfastError && UNANSWERED.has(thrown.code);
}

function nodeOfHost({ fleet }: Context, host: string): string {
  // At once for a launcher that uses our names: a job of many nodes asks for each of them.
  if (fleet.isAlive(host)) return host;
  const nodes = fleet.nodes().filter(({ name }) => fleet.isAlive(name));
  const shortName = host.split('.')[0];
  const found =
    nodes.find(({ facts }) => facts?.addresses.includes(host) === true) ??
    nodes.find(({ name, facts }) => facts?.hostname === host || name === shortName);
  if (found !== undefined) return found.name;
  throw new HoldfastError('NODE_UNAVAILABLE', `no connected node is called ${host}`, 'start its agent');
}

function memberSpec(spec: JobSpec | undefined, request: LaunchMemberRequest): JobSpec {
  if (spec === undefined) throw new HoldfastError('INTERNAL', `job ${request.job} has no specification`);
  if (request.argv.length === 0) throw invalid('argv', 'is empty');
  checkTexts('argv', request.argv);
  checkEnvironment(request.environment);
  checkPath('working_directory', request.workingDirectory, false);
  return {
    ...spec,
    argv: request.argv,
    environment: request.environment,
    workingDirectory: request.workingDirectory || spec.workingDirectory,
  };
}
