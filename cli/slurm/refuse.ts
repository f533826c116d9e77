/** What cannot be checkpointed and restarted inside of a Slurm job is refused before it starts, with the line to use. Pure. */
import { basename } from 'node:path';
import { HoldfastError } from '../../core/errors';
import type { RunOptions } from '../run/options';
import type { SlurmEnvironment } from './environment';
import { parseSrun } from './srun';

const words = (argv: readonly string[]): string => argv.join(' ');

/** The line to use instead of an srun. */
function insteadOf(argv: readonly string[], nodeCount: number): string {
  const { command, isMpi, tasks } = parseSrun(argv);
  const program = command.length > 0 ? words(command) : './app';
  if (nodeCount === 1 && !isMpi && (tasks ?? '1') === '1') return `holdfast run -- ${program}`;
  return `holdfast mpirun ${tasks === null ? '' : `-n ${tasks} `}${program}`;
}

/** @throws HoldfastError INVALID_ARGUMENT with the line to use instead */
export function refuseLauncher(argv: readonly string[], { nodeCount }: SlurmEnvironment): void {
  const program = basename(argv[0] ?? '');
  if (program === 'srun') {
    throw new HoldfastError(
      'INVALID_ARGUMENT',
      'srun cannot be checkpointed: its tasks are not its children, and Slurm ends them with the step',
      `use \`${insteadOf(argv, nodeCount)}\``,
    );
  }
  if (nodeCount > 1 && /^(mpirun|mpiexec|orterun|prterun)([.-].*)?$/.test(program)) {
    throw new HoldfastError(
      'INVALID_ARGUMENT',
      `${program} on ${nodeCount} nodes would start its daemons with srun, which cannot be checkpointed`,
      `use \`holdfast mpirun ${words(argv.slice(1))}\``,
    );
  }
}

/** @throws HoldfastError INVALID_ARGUMENT for what Slurm decides itself */
export function refuseOptions(options: RunOptions): void {
  const given = (['node', 'nodes', 'restart', 'restartBackoff', 'detach'] as const).find(
    (name) => options[name] !== undefined,
  );
  if (given === undefined) return;
  const flag = `--${given.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  throw new HoldfastError(
    'INVALID_ARGUMENT',
    `${flag} has no meaning inside of a Slurm job: Slurm chooses nodes and restarts`,
    'leave it out, or give --no-slurm',
  );
}

/**
 * What is said at the start to a rank of `srun --mpi=pmix`; null: nothing. A site may have pmix as its default, also for tasks that
 * do without, so it is not refused.
 */
export function pmixNote({ PMIX_NAMESPACE, SLURM_STEP_NUM_TASKS }: NodeJS.ProcessEnv): string | null {
  if (!PMIX_NAMESPACE?.startsWith('slurm.pmix.') || Number(SLURM_STEP_NUM_TASKS) < 2) return null;
  return 'a rank of `srun --mpi=pmix` cannot be restarted, its PMIx server ends with the step: start MPI programs with `holdfast mpirun`';
}
