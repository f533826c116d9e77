/** A site that has installed what Holdfast has for Slurm, as `holdfast slurm install` does. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { installFiles } from '../../cli/slurm/site/files';
import type { Stack } from '../harness/stack';

export interface Site {
  readonly directory: string;
  readonly slurmConf: readonly string[];
  readonly plugStack: string;
  readonly path: (name: string) => string;
}

export function installedSite(stack: Stack): Site {
  const directory = join(stack.directory, 'site');
  if (!existsSync(directory)) installFiles(directory);
  const path = (name: string): string => join(directory, name);
  return {
    ...{ directory, path },
    slurmConf: [
      `Prolog=${path('prolog')}`,
      `Epilog=${path('epilog')}`,
      `TaskProlog=${path('task-prolog')}`,
      `TaskEpilog=${path('task-epilog')}`,
      `PrologSlurmctld=${path('prolog-slurmctld')}`,
      `EpilogSlurmctld=${path('epilog-slurmctld')}`,
    ],
    plugStack: `optional ${path('holdfast-spank.so')}\n`,
  };
}
