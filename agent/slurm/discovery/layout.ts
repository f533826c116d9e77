/**
 * Slurm's names: of control groups (version 1, version 2, and version 2 with jobs named by SLUID, as Slurm has it from 26.05 on)
 * and of its slurmstepd processes. Pure; whatever is not exactly such a name is none.
 */

/** "batch", "extern", "interactive", "3", or "3+1": of component 1 of a heterogeneous job. */
export type Step = string;

export interface StepName {
  readonly jobId: number;
  readonly step: Step;
}

/** Where in Slurm's groups a process is. */
export interface Place {
  /** null: the group's name does not say. */
  readonly jobId: number | null;
  /** Of the job; null: the group is named by the job's number. */
  readonly sluid: string | null;
  readonly step: Step;
  /** null: the step's tasks have no groups of their own, or the process is in none of them. */
  readonly task: number | null;
  /** Whose job it is; null: the group's name does not say. */
  readonly uid: number | null;
  /** Slurm's own part of the step, not the user's. */
  readonly isSlurms: boolean;
}

const MAX_PATH = 4096;
/** The highest numbers are names (slurm.h): Slurm before 20.11 wrote them as numbers. */
const FIRST_SPECIAL_STEP = 0xffff_fff0;
const SPECIAL_STEPS: ReadonlyMap<number, Step> = new Map([
  [0xffff_fffa, 'interactive'],
  [0xffff_fffb, 'batch'],
  [0xffff_fffc, 'extern'],
]);

const NUMBER = '(?:0|[1-9][0-9]{0,9})';
const STEP = `batch|extern|interactive|${NUMBER}(?:\\+${NUMBER})?`;
const TASK = `(?:/task_(${NUMBER}|special))?`;
/** "s" and 13 characters of Crockford's base32. */
const SLUID = 's[0-9A-HJKMNP-TV-Z]{13}';

const VERSION_1 = new RegExp(
  `/slurm(?:_[^/]+)?/uid_(${NUMBER})/job_(${NUMBER})/step_(${STEP})${TASK}(?:/|$)`,
);
const VERSION_2 = new RegExp(
  `/(?:[^/]+_)?slurmstepd\\.scope/(?:job_(${NUMBER})|(${SLUID}))/step_(${STEP})(?:$|/(?:(slurm)|user${TASK})(?:/|$))`,
);
/** Text may follow the step in the brackets; the padding after them varies. Not "[12:namespace]". */
const TITLE = new RegExp(`^slurmstepd: \\[(${NUMBER})\\.(${STEP})[\\] ]`);

function stepOf(text: string): Step | null {
  const number = Number(text);
  if (!(number >= FIRST_SPECIAL_STEP)) return text;
  return SPECIAL_STEPS.get(number) ?? null;
}

const numberOf = (text: string | undefined): number | null =>
  text === undefined || text === 'special' ? null : Number(text);

/** @param path of a control group; null for one that is not of a step of Slurm's */
export function placeOf(path: string): Place | null {
  if (path.length > MAX_PATH || path.split('/').includes('..')) return null;
  const old = VERSION_1.exec(path);
  if (old) {
    const [, uid, job, name = '', task] = old;
    const step = stepOf(name);
    const place = { uid: numberOf(uid), jobId: numberOf(job), sluid: null, isSlurms: false };
    return step === null ? null : { ...place, step, task: numberOf(task) };
  }
  const [found, job, sluid = null, name = '', slurms, task] = VERSION_2.exec(path) ?? [];
  const step = stepOf(name);
  if (found === undefined || step === null) return null;
  const place = { uid: null, jobId: numberOf(job), sluid, isSlurms: slurms !== undefined };
  return { ...place, step, task: numberOf(task) };
}

/** @param title the command line of a slurmstepd: null for one that has no step, such as the one that waits for steps */
export function stepOfTitle(title: string): StepName | null {
  const [, job, name = ''] = TITLE.exec(title) ?? [];
  const step = stepOf(name);
  const jobId = numberOf(job);
  return jobId === null || step === null ? null : { jobId, step };
}

/** D2: has tasks that users started; "extern" only adopts processes from outside, and none of them is a task. */
export const hasTasks = (step: Step): boolean => step !== 'extern';

/** The script, or the shell of salloc: it runs programs, and is none that could be restarted. */
export const isScript = (step: Step): boolean => step === 'batch' || step === 'interactive';
