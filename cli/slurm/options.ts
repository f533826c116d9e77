/** What sbatch --holdfast=… says counts where a flag of `holdfast run` or `holdfast mpirun` does not say something else. */
import { KEEP_ALL } from '../../core/retention';
import { parseSlurmOptions, SLURM_OPTIONS_VARIABLE } from '../../core/slurm/options';
import type { JobOptions } from '../run/options';

/** @throws HoldfastError INVALID_ARGUMENT */
export function withSlurmOptions(
  given: JobOptions,
  environment: Readonly<Record<string, string | undefined>>,
): JobOptions {
  const text = environment[SLURM_OPTIONS_VARIABLE];
  if (!text) return given;
  const { every, keep, maxRestarts } = parseSlurmOptions(text);
  const isScheduled = given.every !== undefined || given.cron !== undefined;
  return {
    ...given,
    every: isScheduled ? given.every : every,
    keep: given.keep ?? (keep === undefined ? undefined : { ...KEEP_ALL, keepLast: keep }),
    maxRestarts: given.maxRestarts ?? maxRestarts,
  };
}
