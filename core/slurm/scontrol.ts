/** Questions to Slurm's own commands, and requests; bounded, and never through a shell. */
import { execFile } from 'node:child_process';
import { HoldfastError } from '../errors';

const TIMEOUT_MS = 10_000;
/** What is said of every node or job of a large cluster. */
const MAX_OUTPUT_BYTES = 64 << 20;

export interface SlurmJobState {
  /** Which scontrol takes for this one and no other: the last task of an array has the number of the whole. */
  readonly name: string;
  /** "RUNNING", "COMPLETING" … */
  readonly state: string;
  /** Unix time; 0: none. */
  readonly endMs: number;
  /** It is to make room for another job, and has until its end. */
  readonly isPreempted: boolean;
  /** Slurm may run the script again. */
  readonly mayRequeue: boolean;
  /** How often the script was run again, the run that is about to begin included. */
  readonly restarts: number;
  /** Where Slurm writes what the script prints; empty: it does not say. */
  readonly outputPath: string;
}

/**
 * @param text of `scontrol show job -o`, which shows all of an array or heterogeneous job; times in it are of this machine's time zone
 */
export function parseJob(text: string, jobId: number): SlurmJobState {
  const line = text.split('\n').find((one) => one.startsWith(`JobId=${jobId} `)) ?? '';
  const field = (name: string): string => new RegExp(`(?:^|\\s)${name}=(\\S*)`).exec(line)?.[1] ?? '';
  const time = (name: string): number => Date.parse(field(name)) || 0;
  const task = field('ArrayTaskId');
  return {
    name: /^\d+$/.test(task) ? `${field('ArrayJobId')}_${task}` : String(jobId),
    state: field('JobState'),
    endMs: time('EndTime'),
    isPreempted: time('PreemptTime') > 0,
    restarts: Number(field('Restarts')) || 0,
    mayRequeue: field('Requeue') === '1',
    outputPath: field('StdOut'),
  };
}

/** Whose rights it gets; absent: this process's. */
export interface As {
  readonly uid?: number;
  readonly gid?: number;
}

/** @throws HoldfastError INTERNAL with Slurm's own words */
export const scontrol = (args: readonly string[], as: As = {}): Promise<string> => run('scontrol', args, as);

/** @throws HoldfastError INTERNAL with Slurm's own words */
export const squeue = (args: readonly string[]): Promise<string> => run('squeue', args);

function run(program: string, args: readonly string[], as: As = {}): Promise<string> {
  const { PATH, SLURM_CONF } = process.env;
  // Times as parseJob reads them, and nothing else of an environment that may hold secrets.
  const env = { PATH, LC_ALL: 'C', TZ: process.env.TZ, SLURM_CONF, SLURM_TIME_FORMAT: 'standard' };
  const options = { timeout: TIMEOUT_MS, maxBuffer: MAX_OUTPUT_BYTES, env, ...as };
  return new Promise((resolve, reject) => {
    execFile(program, args, options, (error, stdout, stderr) => {
      if (!error) return resolve(stdout);
      const why = stderr.trim().split('\n').at(-1) || error.message;
      const message = `${program} ${args.join(' ').slice(0, 200)} failed: ${why}`;
      reject(new HoldfastError('INTERNAL', message, `see whether \`${program}\` works here`));
    });
  });
}

export const slurmJobState = async (jobId: number, as: As = {}): Promise<SlurmJobState> =>
  parseJob(await scontrol(['show', 'job', '-o', String(jobId)], as), jobId);

/** "n[1-3]" → n1, n2, n3 */
export async function hostNames(nodeList: string): Promise<string[]> {
  return (await scontrol(['show', 'hostnames', nodeList])).split('\n').filter(Boolean);
}
