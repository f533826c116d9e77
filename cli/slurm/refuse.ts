/** What cannot be checkpointed and restarted inside of a Slurm job is refused before it starts, with the line to use. Pure. */
import { basename } from 'node:path';
import { HoldfastError } from '../../core/errors';
import type { RunOptions } from '../run/options';
import type { SlurmEnvironment } from './environment';

const words = (argv: readonly string[]): string => argv.join(' ');

/** The words after the options of srun: options with a value of its own word are not known here. */
const afterOptions = (argv: readonly string[]): string => {
  const [, ...rest] = argv;
  const start = rest.findIndex((word) => !word.startsWith('-'));
  return start < 0 ? './app' : words(rest.slice(start));
};

/** @throws HoldfastError INVALID_ARGUMENT with the line to use instead */
export function refuseLauncher(argv: readonly string[], { nodeCount }: SlurmEnvironment): void {
  const program = basename(argv[0] ?? '');
  if (program === 'srun') {
    throw new HoldfastError(
      'INVALID_ARGUMENT',
      'srun cannot be checkpointed: its tasks are not its children, and Slurm ends them with the step',
      nodeCount > 1
        ? 'use `holdfast mpirun -n TASKS ./app`'
        : `use \`holdfast run -- ${afterOptions(argv)}\``,
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
