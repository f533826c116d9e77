/** What an MPI launcher needs inside of a Slurm job to start its daemons through Holdfast. */
import { execFile } from 'node:child_process';
import { HoldfastError } from '../../core/errors';

export type Launcher = 'open-mpi' | 'hydra';

/** @throws HoldfastError NOT_FOUND, INVALID_ARGUMENT for one that is not known */
export function detectLauncher(program: string): Promise<Launcher> {
  return new Promise((resolve, reject) => {
    execFile(program, ['--version'], { timeout: 10_000 }, (error, stdout) => {
      if (/Open MPI|OpenRTE|PRTE/.test(stdout)) return resolve('open-mpi');
      if (/HYDRA/i.test(stdout)) return resolve('hydra');
      const code =
        (error as NodeJS.ErrnoException | null)?.code === 'ENOENT' ? 'NOT_FOUND' : 'INVALID_ARGUMENT';
      const message = `${program} is neither Open MPI's mpirun nor MPICH's (${error?.message ?? 'by its --version'})`;
      reject(new HoldfastError(code, message, 'load the MPI module, or name it with --mpirun PROGRAM'));
    });
  });
}

/** Options by which a user chooses hosts himself. */
const HOSTS: Readonly<Record<Launcher, RegExp>> = {
  'open-mpi': /^--?(H|host|hostfile|machinefile|default-hostfile)$/,
  hydra: /^--?(f|hosts?|machinefile|hostfile)$/,
};

/** The words before the program: the first one that follows neither an option nor nothing, for options have values. */
function launcherWords(args: readonly string[]): readonly string[] {
  const isOption = (word: string | undefined) => word?.startsWith('-') === true;
  const program = args.findIndex((word, i) => !isOption(word) && !isOption(args[i - 1]));
  return program < 0 ? args : args.slice(0, program);
}

const choosesHosts = (launcher: Launcher, args: readonly string[]): boolean =>
  launcherWords(args).some((word) => HOSTS[launcher].test(word.split('=')[0] ?? ''));

/**
 * The whole command line. Pure.
 * @param hosts with their slots, where the user names none
 */
export function launcherCommand(
  launcher: Launcher,
  program: string,
  args: readonly string[],
  hosts: readonly { readonly name: string; readonly slots: number }[],
): string[] {
  if (choosesHosts(launcher, args)) return [program, ...args];
  const list = hosts.map(({ name, slots }) => `${name}:${slots}`).join(',');
  return [program, launcher === 'open-mpi' ? '--host' : '-hosts', list, ...args];
}

/** Without these a launcher would start its daemons with srun: in steps of their own, which no checkpoint carries. */
export const launcherVariables: Readonly<Record<string, string>> = {
  OMPI_MCA_plm: 'rsh',
  OMPI_MCA_ras: '^slurm',
  HYDRA_RMK: 'user',
};
