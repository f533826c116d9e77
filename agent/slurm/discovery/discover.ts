/** What this node has of Slurm's jobs, as it is told to others, and what of it is tracked already. */
import { isSelected, nameOf, type SlurmIdentity } from '../../../core/slurm/selection';
import type { DiscoverSlurm, SlurmProcess } from '../../../proto/gen/holdfast/v1/agent';
import type { AgentContext } from '../../context';
import type { Tree } from '../../trees';
import { type Environment, findTasks } from './find';
import { type Program, programsOf, wordsOf } from './programs';
import { readNode } from './read';

const MAX_COMMAND = 256;

/** A program that can be tracked, or why not. */
export interface Discovered extends Program {
  readonly identity: SlurmIdentity;
  /** Of ours, that has its process as the root of a tree; empty: none. */
  readonly job: string;
}

/** @param trees that live on this node */
export function discover(trees: readonly Tree[]): Discovered[] {
  const cells = trees.flatMap(({ cell }) => (cell ? [cell.supervisorPid, cell.initPid] : []));
  const node = readNode(new Set(cells));
  if (node === null) return [];
  const roots = new Map(trees.map((tree) => [`${tree.rootPid}/${tree.rootStart}`, tree.job]));
  return findTasks(node).flatMap((task) => {
    const identity = identityOf(task.jobId, task.environment);
    return programsOf(task, node.processes).map((program) => {
      const { pid, startTicks } = program.process;
      return { ...program, identity, job: roots.get(`${pid}/${startTicks}`) ?? '' };
    });
  });
}

export function discoverSlurm({ trees }: AgentContext, { selection }: DiscoverSlurm): SlurmProcess[] {
  if (selection === undefined) return [];
  return discover(trees.all())
    .filter(({ identity }) => isSelected(selection, identity))
    .map(messageOf);
}

function messageOf({ identity, job, process, refusal, task }: Discovered): SlurmProcess {
  return {
    ...{ jobId: task.jobId, name: nameOf(identity), step: task.step, task: task.task },
    ...{ pid: process.pid, startTicks: process.startTicks, uid: process.uid, suspended: task.frozen },
    ...{ command: wordsOf(process).join(' ').slice(0, MAX_COMMAND), job, refusal, node: '' },
  };
}

const numberOf = (text: string | undefined): number | null =>
  /^(0|[1-9][0-9]{0,9})$/.test(text ?? '') ? Number(text) : null;

const COMPONENT = /^SLURM_JOB_ID_HET_GROUP_(\d+)$/;

/** Slurm tells a task the numbers of all components, and as its own that of the first: which it is of, its group says. Pure. */
export function identityOf(jobId: number, environment: Environment): SlurmIdentity {
  const array = numberOf(environment.SLURM_ARRAY_JOB_ID);
  const task = numberOf(environment.SLURM_ARRAY_TASK_ID);
  if (array !== null && task !== null) return { jobId, array: { jobId: array, task } };
  const first = numberOf(environment.SLURM_JOB_ID_HET_GROUP_0);
  const own = Object.keys(environment).find(
    (name) => COMPONENT.test(name) && numberOf(environment[name]) === jobId,
  );
  if (first === null || own === undefined) return { jobId };
  return { jobId, het: { jobId: first, component: Number(COMPONENT.exec(own)?.[1]) } };
}
