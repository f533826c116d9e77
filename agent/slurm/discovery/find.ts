/**
 * The tasks of all Slurm jobs on this node. The kernel says in which control group a process is; without groups a task is a
 * child of the step's slurmstepd (D1). Pure: facts about processes in, tasks out.
 */
import type { Membership } from '../../proc/cgroups';
import { hasTasks, type Place, placeOf, type Step, stepOfTitle } from './layout';

export interface ProcessFacts {
  readonly pid: number;
  readonly parentPid: number;
  /** Real uid. */
  readonly uid: number;
  readonly gid: number;
  readonly startTicks: number;
  /** As in proc_pid_stat(5). */
  readonly state: string;
  readonly comm: string;
  /** Its words, separated by zero bytes. */
  readonly commandLine: string;
  readonly groups: readonly Membership[];
}

/** What Slurm has told a process; the process's user may have changed it. */
export type Environment = Readonly<Record<string, string>>;

export interface NodeFacts {
  readonly processes: readonly ProcessFacts[];
  /** Asked for few processes only. */
  readonly environmentOf: (pid: number) => Environment;
  readonly isFrozen: (process: ProcessFacts) => boolean;
  /** Roots of what lives in a step without being a task of it: cells of ours, with all that is in them. */
  readonly cells: ReadonlySet<number>;
}

export interface FoundTask {
  /** Slurm's own number, also of one task of an array or one component of a heterogeneous job. */
  readonly jobId: number;
  /** How the number is known. What the user could have changed counts last, and only if it agrees with itself. */
  readonly jobIdFrom: 'group' | 'slurmstepd' | 'environment';
  readonly step: Step;
  readonly task: number;
  /** Roots of its subtrees: the one that Slurm started, then those that have left it. */
  readonly roots: readonly ProcessFacts[];
  readonly uid: number;
  /** Suspended by Slurm, or frozen by somebody else. */
  readonly frozen: boolean;
  /** Of its first root. */
  readonly environment: Environment;
}

interface Member {
  readonly process: ProcessFacts;
  readonly jobId: number;
  readonly jobIdFrom: FoundTask['jobIdFrom'];
  readonly step: Step;
  readonly task: number | null;
}

const number = (text: string | undefined): number | null =>
  /^(0|[1-9][0-9]{0,9})$/.test(text ?? '') ? Number(text) : null;

/** The kernel's name of the program, which only who runs it could have chosen: hiding it so is no gain. */
export const isStepDaemon = ({ comm }: ProcessFacts): boolean => comm === 'slurmstepd';

export function findTasks(facts: NodeFacts): FoundTask[] {
  const members = findMembers(facts);
  const byStep = new Map<string, Member[]>();
  for (const member of members) {
    const key = `${member.jobId}.${member.step}`;
    byStep.set(key, [...(byStep.get(key) ?? []), member]);
  }
  return [...byStep.values()].flatMap((step) => tasksOf(step, facts)).sort(inOrder);
}

const inOrder = (a: FoundTask, b: FoundTask): number =>
  a.jobId - b.jobId || a.step.localeCompare(b.step, 'en', { numeric: true }) || a.task - b.task;

/** All processes of users in steps that have tasks. */
function findMembers({ processes, environmentOf, cells }: NodeFacts): Member[] {
  const byPid = new Map(processes.map((process) => [process.pid, process]));
  const daemons = new Map<number, { jobId: number; step: Step }>();
  const sluids = new Map<string, number>();
  for (const process of processes) {
    // Nobody but root can pose as one.
    const name = isStepDaemon(process) && process.uid === 0 ? stepOfTitle(process.commandLine) : null;
    if (name === null) continue;
    daemons.set(process.pid, name);
    const sluid = placeOfProcess(process)?.sluid ?? null;
    if (sluid !== null) sluids.set(sluid, name.jobId);
  }
  const told = (process: ProcessFacts): number | null => jobIdTold(environmentOf(process.pid), process.uid);
  const candidates = processes.filter(
    (process) => process.state !== 'Z' && !isStepDaemon(process) && !isBelow(process, cells, byPid),
  );
  const unnamed = new Map<string, Set<number | null>>();
  const placed = candidates.map((process) => {
    const place = placeOfProcess(process);
    if (place?.sluid != null && !sluids.has(place.sluid))
      unnamed.set(place.sluid, (unnamed.get(place.sluid) ?? new Set()).add(told(process)));
    return { process, place };
  });
  // One number, of all that say one.
  const agreed = (sluid: string): number | null => {
    const numbers = [...(unnamed.get(sluid) ?? [])].filter((one) => one !== null);
    return numbers.length === 1 ? (numbers[0] ?? null) : null;
  };
  return placed.flatMap(({ process, place }): Member[] => {
    if (place === null) {
      const daemon = ancestorIn(process, daemons, byPid);
      if (daemon === null || !hasTasks(daemon.step)) return [];
      return [{ process, ...daemon, jobIdFrom: 'slurmstepd', task: null }];
    }
    if (place.isSlurms || !hasTasks(place.step)) return [];
    const { step, task, sluid } = place;
    if (place.jobId !== null) return [{ process, jobId: place.jobId, jobIdFrom: 'group', step, task }];
    const known = sluids.get(sluid ?? '') ?? null;
    const jobId = known ?? agreed(sluid ?? '');
    if (jobId === null) return [];
    return [{ process, jobId, jobIdFrom: known === null ? 'environment' : 'slurmstepd', step, task }];
  });
}

/** The place that says most: hierarchies of version 1 differ in how deep they go. A group of another user's job is none. */
function placeOfProcess({ groups, uid }: ProcessFacts): Place | null {
  const places = groups.flatMap(({ path }) => placeOf(path) ?? []);
  const own = places.filter((place) => uid === 0 || place.uid === null || place.uid === uid);
  return own.find(({ task }) => task !== null) ?? own[0] ?? null;
}

function jobIdTold({ SLURM_JOB_ID, SLURM_JOB_UID }: Environment, uid: number): number | null {
  const isOther = SLURM_JOB_UID !== undefined && number(SLURM_JOB_UID) !== uid;
  return isOther ? null : number(SLURM_JOB_ID);
}

type ByPid = ReadonlyMap<number, ProcessFacts>;

/** The process and its ancestors. */
function* lineOf(process: ProcessFacts, byPid: ByPid): Generator<ProcessFacts> {
  const seen = new Set<number>();
  for (let one: ProcessFacts | undefined = process; one !== undefined; one = byPid.get(one.parentPid)) {
    // Facts of different moments may go round in circles.
    if (seen.has(one.pid)) return;
    seen.add(one.pid);
    yield one;
  }
}

function isBelow(process: ProcessFacts, roots: ReadonlySet<number>, byPid: ByPid): boolean {
  if (roots.size === 0) return false;
  for (const { pid } of lineOf(process, byPid)) if (roots.has(pid)) return true;
  return false;
}

function ancestorIn<T>(process: ProcessFacts, known: ReadonlyMap<number, T>, byPid: ByPid): T | null {
  for (const { pid } of lineOf(process, byPid)) {
    const found = known.get(pid);
    if (found !== undefined) return found;
  }
  return null;
}

interface OneTask {
  /** Of its control group: unique in the step on this node, where tasks have groups. */
  readonly group: number | null;
  /** Slurm's number for it in the whole step. */
  readonly rank: number;
  readonly first: Member;
  readonly environment: Environment;
  readonly roots: ProcessFacts[];
}

/** By group, then by age: what has left a group is older tasks' own. */
const inGroupsFirst = (a: Member, b: Member): number =>
  Number(a.task === null) - Number(b.task === null) || a.process.startTicks - b.process.startTicks;

function tasksOf(members: readonly Member[], { environmentOf, isFrozen }: NodeFacts): FoundTask[] {
  const pids = new Set(members.map(({ process }) => process.pid));
  const roots = members.filter(({ process }) => !pids.has(process.parentPid)).sort(inGroupsFirst);
  const tasks: OneTask[] = [];
  for (const first of roots) {
    const environment = environmentOf(first.process.pid);
    const told = number(environment.SLURM_PROCID);
    const known = tasks.find(({ group, rank }) =>
      first.task === null ? rank === (told ?? 0) : group === first.task,
    );
    if (known) known.roots.push(first.process);
    // Slurm gives the script a number, too: it is the only one.
    else
      tasks.push({
        first,
        environment,
        group: first.task,
        rank: told ?? first.task ?? 0,
        roots: [first.process],
      });
  }
  return tasks.map(({ rank, first: { jobId, jobIdFrom, step, process }, environment, roots: own }) => ({
    ...{ jobId, jobIdFrom, step, task: rank, environment, roots: own },
    ...{ uid: process.uid, frozen: own.some(isFrozen) },
  }));
}
