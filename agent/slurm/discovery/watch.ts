/**
 * Looks for tasks of jobs with --holdfast=interval=… that no TaskProlog has told of: the site has none, or it was not heard, or a
 * batch script runs its program without srun. Only what is still there at a second look is tracked: most programs of a script are short.
 */
import type { Logger } from 'pino';
import { parseSlurmOptions, SLURM_OPTIONS_VARIABLE, type SlurmOptions } from '../../../core/slurm/options';
import type { Tracker } from '../tracker';
import type { Discovered } from './discover';

const LOOK_MS = 5_000;

/** The result stops. */
export function watchTasks(look: () => Discovered[], tracker: Tracker, log: Logger): () => void {
  let before: ReadonlySet<string> = new Set();
  const again = (): void => {
    try {
      const wanted = wantedOf(look());
      for (const { found, options } of wanted) {
        const { jobId, step, task } = found.task;
        const { pid, startTicks, uid, gid } = found.process;
        if (before.has(keyOf(found)))
          void tracker.track({ jobId, step, task, pid, startTicks, uid, gid }, options);
      }
      before = new Set(wanted.map(({ found }) => keyOf(found)));
    } catch (err) {
      log.error({ err }, 'tasks of Slurm not looked for');
    }
  };
  const timer = setInterval(again, LOOK_MS);
  timer.unref();
  return () => clearInterval(timer);
}

const keyOf = ({ process: { pid, startTicks } }: Discovered): string => `${pid}/${startTicks}`;

export interface Wanted {
  readonly found: Discovered;
  readonly options: SlurmOptions;
}

/** What is to be tracked and is not. Pure. */
export function wantedOf(all: readonly Discovered[]): Wanted[] {
  return all.flatMap((found): Wanted[] => {
    const options = optionsOf(found);
    const isWanted = options?.every !== undefined && found.job === '' && found.refusal === '';
    return isWanted ? [{ found, options }] : [];
  });
}

function optionsOf({ task }: Discovered): SlurmOptions | null {
  const text = task.environment[SLURM_OPTIONS_VARIABLE];
  if (!text) return null;
  try {
    return parseSlurmOptions(text);
  } catch {
    return null; // sbatch has said so
  }
}
