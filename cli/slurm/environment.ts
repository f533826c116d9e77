/** What Slurm tells a task about the job that it is part of. */
import { createHash, randomUUID } from 'node:crypto';
import type { SlurmTask } from '../../proto/gen/holdfast/v1/manifest';

type Environment = Readonly<Record<string, string | undefined>>;

export interface SlurmEnvironment {
  readonly cluster: string;
  readonly jobId: number;
  /** As users know the job: "12", or "12_3" for one task of an array. */
  readonly name: string;
  /** What tells this command from the same one of its array or step. Empty: there is no other. */
  readonly part: string;
  /** How often the job was requeued. */
  readonly restartCount: number;
  readonly nodeCount: number;
  /** In Slurm's short form: "n[1-3]". */
  readonly nodeList: string;
  /** Slots of each node, in the order of the list. */
  readonly tasksPerNode: readonly number[];
  /** Unix time; 0: Slurm does not say. */
  readonly endMs: number;
}

const count = (text: string | undefined): number => (/^[0-9]{1,10}$/.test(text ?? '') ? Number(text) : 0);

/** "2(x3),1" → [2, 2, 2, 1] */
export function tasksPerNode(text: string): number[] {
  return text.split(',').flatMap((item) => {
    const match = /^(\d+)(?:\(x(\d+)\))?$/.exec(item);
    return match ? Array<number>(Number(match[2] ?? 1)).fill(Number(match[1])) : [];
  });
}

/** null outside of a Slurm job. */
export function slurmEnvironment(environment: Environment): SlurmEnvironment | null {
  const jobId = count(environment.SLURM_JOB_ID);
  if (jobId === 0) return null;
  return {
    cluster: environment.SLURM_CLUSTER_NAME || 'cluster',
    ...{ jobId, ...partOf(jobId, environment) },
    restartCount: count(environment.SLURM_RESTART_COUNT),
    nodeCount: count(environment.SLURM_JOB_NUM_NODES) || 1,
    nodeList: environment.SLURM_JOB_NODELIST ?? '',
    tasksPerNode: tasksPerNode(environment.SLURM_TASKS_PER_NODE ?? ''),
    endMs: count(environment.SLURM_JOB_END_TIME) * 1000,
  };
}

/** Tasks of an array have numbers of their own in Slurm, and the same words; so have the tasks of one step. */
function partOf(jobId: number, environment: Environment): Pick<SlurmEnvironment, 'name' | 'part'> {
  const { SLURM_ARRAY_JOB_ID: array, SLURM_ARRAY_TASK_ID: task = '' } = environment;
  const isOfArray = count(array) > 0 && /^[0-9]{1,10}$/.test(task);
  const rank = count(environment.SLURM_PROCID);
  const parts = [...(isOfArray ? [`array task ${task}`] : []), ...(rank > 0 ? [`rank ${rank}`] : [])];
  return { name: isOfArray ? `${array}_${task}` : String(jobId), part: parts.join(', ') };
}

/** The same words in the same directory are the same command, however often the script is run: of one part of an array or step. */
export function commandKey(
  argv: readonly string[],
  workingDirectory: string,
  { part }: Pick<SlurmEnvironment, 'part'>,
): string {
  return createHash('sha256')
    .update(JSON.stringify(part === '' ? [argv, workingDirectory] : [argv, workingDirectory, part]))
    .digest('hex');
}

export function slurmTask(
  { cluster, jobId, restartCount }: SlurmEnvironment,
  key: string,
  requeue: boolean,
): SlurmTask {
  return { cluster, jobId, restartCount, key, requeue, supersededBy: '', ended: '', attempt: randomUUID() };
}
