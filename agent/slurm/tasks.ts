/**
 * Tasks of a plain `srun ./app` in a Slurm job with --holdfast=…: each becomes a job that is tracked and checkpointed as
 * long as it runs. Slurm ends the step with a task, so Holdfast cannot restart it there, and says so when the task begins.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Peer } from '../../core/rpc/localSocket';
import type { HookMessage } from '../../core/slurm/message';
import { parseSlurmOptions, type SlurmOptions } from '../../core/slurm/options';
import { processStat } from '../proc/stat';
import { startTicksOf } from '../trees';
import type { Tracker } from './tracker';

/** How long Slurm may take from its hook to the task's own program. */
const EXEC_LIMIT_MS = 10_000;
const LOOK_MS = 50;

export interface TaskStart {
  readonly options: SlurmOptions | null;
  /** Lines for the task's stdout, as Slurm reads them from a TaskProlog. */
  readonly lines: string;
}

/** What is said when a task begins. Pure. */
export function taskStart({ jobId, options, own }: HookMessage): TaskStart {
  if (options === '' || own !== '') return { options: null, lines: '' };
  try {
    const parsed = parseSlurmOptions(options);
    if (parsed.every === undefined) return { options: null, lines: '' };
    const every = parsed.every === 'auto' ? 'as often as pays' : `every ${parsed.every / 1000} s`;
    return {
      options: parsed,
      lines: printed([
        `holdfast: this task of Slurm job ${jobId} is checkpointed ${every} as far as possible`,
        'holdfast: it is not restarted by itself, and other tasks are not captured at the same moment:',
        'holdfast: for that start it with `holdfast run` or `holdfast mpirun` in the job script',
      ]),
    };
  } catch {
    return {
      options: null,
      lines: printed([`holdfast: --holdfast=${options} is not valid: no checkpoints`]),
    };
  }
}

const printed = (lines: readonly string[]): string => lines.map((line) => `print ${line}\n`).join('');

/** Resolves with true once the task runs its own program, which may be one that sees to its checkpoints itself. */
export async function runsOwnProgram(pid: number): Promise<boolean> {
  const startTicks = startTicksOf(pid);
  const limit = Date.now() + EXEC_LIMIT_MS;
  for (;;) {
    if (startTicksOf(pid) !== startTicks) return false;
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    if (!basename(readlinkSync(`/proc/${pid}/exe`)).startsWith('slurmstepd')) return !isHoldfast(words);
    if (Date.now() > limit) return false;
    await delay(LOOK_MS);
  }
}

/** As the task's user: the coordinator checks whose process it is. */
export async function trackTask(
  { jobId, procId: task, stepId = 0, taskPid: pid }: HookMessage,
  { uid, gid }: Peer,
  options: SlurmOptions,
  tracker: Tracker,
): Promise<void> {
  const startTicks = processStat(pid)?.startTicks ?? 0;
  const process = { jobId, step: String(stepId), task, pid, startTicks, uid, gid };
  await tracker.track(process, options, () => runsOwnProgram(pid));
}

/** Its own command, or the script that starts it. */
export const isHoldfast = (words: readonly string[]): boolean =>
  words.slice(0, 3).some((word) => basename(word) === 'holdfast' || word.endsWith('/dist/cli/main.js'));
