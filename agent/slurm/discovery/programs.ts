/**
 * What of a task can be put under checkpoints: the task itself, or the programs of a batch script, whose own file goes with the
 * Slurm job (D2). Pure.
 */
import { basename } from 'node:path';
import { isHoldfast } from '../tasks';
import { type FoundTask, isStepDaemon, type ProcessFacts } from './find';
import { isScript } from './layout';

export interface Program {
  readonly process: ProcessFacts;
  readonly task: FoundTask;
  /** Why it is none that could be captured; empty: it may be. */
  readonly refusal: string;
}

export const wordsOf = ({ commandLine }: ProcessFacts): string[] => {
  const words = commandLine.split('\0');
  return words.at(-1) === '' ? words.slice(0, -1) : words;
};

const isSrun = (process: ProcessFacts): boolean => process.comm === 'srun';

/** As Slurm calls the file that it makes of the script. */
const isSpooled = (process: ProcessFacts): boolean =>
  wordsOf(process)
    .slice(0, 3)
    .some((word) => basename(word) === 'slurm_script');

/** @param processes of the node */
export function programsOf(task: FoundTask, processes: readonly ProcessFacts[]): Program[] {
  const children = new Map<number, ProcessFacts[]>();
  for (const process of processes) {
    if (process.state === 'Z') continue;
    children.set(process.parentPid, [...(children.get(process.parentPid) ?? []), process]);
  }
  const below = (pid: number): readonly ProcessFacts[] => children.get(pid) ?? [];
  const program = (process: ProcessFacts): Program => ({
    ...{ process, task },
    refusal: refusalOf(process, task, below),
  });
  return task.roots.flatMap((root): Program[] => {
    // A script that has become its program (exec) is one.
    const isShell = task.step === 'interactive' ? root === task.roots[0] : isSpooled(root);
    if (!isScript(task.step) || !isShell) return [program(root)];
    const programs = below(root.pid).map(program);
    if (programs.length > 0) return programs;
    return [{ process: root, task, refusal: 'the script itself cannot be captured: it has no program now' }];
  });
}

function refusalOf(
  process: ProcessFacts,
  task: FoundTask,
  below: (pid: number) => readonly ProcessFacts[],
): string {
  if (isHoldfast(wordsOf(process))) return 'it is Holdfast, which sees to its checkpoints';
  if (isStepDaemon(process)) return 'Slurm has not started its program yet';
  if (process.uid !== task.uid) return `it runs as uid ${process.uid}`;
  if (isSrun(process)) return 'srun cannot be captured: its tasks are found by themselves';
  const inside: ProcessFacts[] = [...below(process.pid)];
  for (let next = 0; next < inside.length && next < MAX_PROCESSES; next++)
    inside.push(...below(inside[next]?.pid ?? 0));
  if (inside.some(isSrun)) return 'it runs srun, which cannot be captured: its tasks are found by themselves';
  if (inside.some((one) => isHoldfast(wordsOf(one))))
    return 'it runs Holdfast, which sees to its checkpoints';
  return '';
}

/** A tree is no larger. */
const MAX_PROCESSES = 100_000;
