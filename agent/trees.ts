/** The trees that live on this node, and the news of their ends. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { z } from 'zod';
import { HoldfastError } from '../core/errors';
import {
  type Cell,
  type CellExit,
  endCell,
  isCellAlive,
  readCell,
  readCellExit,
  removeCellDirectory,
} from './cell/cell';
import { endUnfilled, memoryLost } from './cell/unfilled';
import { killSubtree, trySignal } from './proc/signals';
import { isAlive, processStat } from './proc/stat';
import { innermostPid, subtree } from './proc/subtree';
import { type RunDirectory, readJson, writeJson } from './runDirectory';
import { isTaken } from './seats/seats';

const treeFile = z.object({
  job: z.string(),
  treeId: z.string(),
  main: z.boolean(),
  incarnation: z.number().int(),
  /** In the node's pid namespace. */
  rootPid: z.number().int(),
  rootStart: z.number().int(),
  uid: z.number().int(),
  gid: z.number().int(),
  groups: z.array(z.number().int()),
  command: z.string(),
  rootProgram: z.string(),
  /** Whether the tree lives in a cell of ours. */
  inCell: z.boolean(),
  /** The task of a batch system that it lives in. */
  seat: z.object({ pid: z.number().int(), startTicks: z.number().int(), uid: z.number().int() }).optional(),
  /** The restart that brought it to life: the generation that it came from, and the restart's own epoch. */
  restored: z.object({ generation: z.number().int(), epoch: z.number().int() }).optional(),
});

export type TreeRecord = z.infer<typeof treeFile>;

export interface Tree extends TreeRecord {
  readonly directory: string;
  readonly cell: Cell | null;
}

/** A pid of the tree as CRIU sees it, and its images name it. @throws NOT_FOUND when that process is gone */
export function imagePid(tree: Tree, pid: number): number {
  const inner = tree.cell ? innermostPid(pid) : pid;
  if (inner !== null) return inner;
  throw new HoldfastError('NOT_FOUND', `process ${pid} of job ${tree.job} is gone`);
}

export interface TreeEnd {
  readonly tree: Tree;
  /** Empty when the status cannot be known: a process that Holdfast did not start. */
  readonly exit: CellExit;
  /** Not empty: Holdfast ended the tree, since its memory could not be completed. */
  readonly memoryLost: string;
  /** It was killed with the task of the batch system that it lived in. */
  readonly seatGone: boolean;
}

const POLL_MS = 200;
/** A batch system kills the processes of a task one after the other. */
const SEAT_END_MS = 1000;

export class Trees {
  private readonly trees = new Map<string, Tree>();
  private readonly ended = new Map<string, TreeEnd>();
  private readonly unfinished: string[] = [];
  /** Killed trees whose seat was still there then: since when, by `performance.now()`. */
  private readonly doubtful = new Map<string, number>();
  private timer: NodeJS.Timeout | null = null;

  constructor(
    private readonly directory: RunDirectory,
    private readonly log: Logger,
  ) {
    this.findAgain();
  }

  /** Tells of every end from now on, also of trees that ended while no agent was there. */
  watch(onEnd: (end: TreeEnd) => void): void {
    this.timer = setInterval(() => this.poll(onEnd), POLL_MS);
  }

  close(): void {
    if (this.timer) clearInterval(this.timer);
  }

  all(): Tree[] {
    return [...this.trees.values()];
  }

  ofJob(job: string): Tree[] {
    return this.all().filter((tree) => tree.job === job);
  }

  unreportedEnds(): TreeEnd[] {
    return [...this.ended.values()];
  }

  /** Records a tree that runs from now on; it survives a restart of the agent. */
  add(record: TreeRecord): Tree {
    const directory = this.directory.cell(record.job, record.treeId, record.incarnation);
    const cell = record.inCell ? readCell(directory) : null;
    const tree: Tree = { ...record, directory, cell };
    writeJson(join(directory, 'tree.json'), record);
    this.trees.set(directory, tree);
    this.log.info({ job: tree.job, tree: tree.treeId, pid: tree.rootPid }, 'tree added');
    return tree;
  }

  /** The coordinator knows of the end: nothing of the tree is kept. */
  forget(job: string, treeId: string, incarnation: number): void {
    const directory = this.directory.cell(job, treeId, incarnation);
    if (this.ended.delete(directory)) removeCellDirectory(directory);
  }

  /** Sends a signal to a whole tree; after SIGKILL (9) waits until it is gone. */
  async end(tree: Tree, signal: NodeJS.Signals | number): Promise<void> {
    if (tree.cell && signal === 9) {
      await endCell(tree.cell);
      return;
    }
    if (!isAlive(tree.rootPid, tree.rootStart)) return;
    if (signal === 9) await killSubtree(tree.rootPid);
    else for (const { pid } of subtree(tree.rootPid)) trySignal(pid, signal);
  }

  /** A cell without a tree is left over from a launch or a restart that died with an earlier agent (L1). */
  async removeUnfinished(): Promise<void> {
    for (const directory of this.unfinished.splice(0)) {
      const cell = readCell(directory);
      if (cell) await endCell(cell).catch((error) => this.log.error({ error, directory }, 'cell not ended'));
      removeCellDirectory(directory);
    }
  }

  /** An earlier agent died while it filled their memory: they cannot go on (R1). */
  async endUnfilled(): Promise<void> {
    for (const { cell } of this.all()) if (cell) await endUnfilled(cell);
  }

  private findAgain(): void {
    for (const name of readdirSync(this.directory.cells)) {
      const directory = join(this.directory.cells, name);
      const record = treeFile.safeParse(readJson(join(directory, 'tree.json')));
      if (!record.success) {
        this.unfinished.push(directory);
        continue;
      }
      const cell = record.data.inCell ? readCell(directory) : null;
      this.trees.set(directory, { ...record.data, directory, cell });
    }
  }

  private poll(onEnd: (end: TreeEnd) => void): void {
    for (const [directory, tree] of this.trees) {
      const exit = endOf(tree);
      if (exit === null) continue;
      const seatGone = this.hasLostSeat(tree, exit);
      if (seatGone === null) continue;
      this.trees.delete(directory);
      const end = { tree, exit, memoryLost: memoryLost(directory), seatGone };
      this.ended.set(directory, end);
      this.log.info({ job: tree.job, tree: tree.treeId, ...exit }, 'tree ended');
      onEnd(end);
    }
  }

  /** Null: not known yet. */
  private hasLostSeat({ seat, directory }: Tree, { signal }: CellExit): boolean | null {
    if (seat === undefined || signal !== 9) return false;
    const isGone = !isTaken(seat);
    const sinceMs = this.doubtful.get(directory) ?? performance.now();
    if (!isGone && performance.now() - sinceMs < SEAT_END_MS) {
      this.doubtful.set(directory, sinceMs);
      return null;
    }
    this.doubtful.delete(directory);
    return isGone;
  }
}

function endOf(tree: Tree): CellExit | null {
  if (!tree.cell) return isAlive(tree.rootPid, tree.rootStart) ? null : {};
  if (existsSync(join(tree.directory, 'exit.json'))) return readCellExit(tree.directory);
  const gone = !isCellAlive(tree.cell) && !isAlive(tree.cell.supervisorPid, tree.cell.supervisorStart);
  return gone ? { signal: 9 } : null; // its supervisor was killed and the cell with it
}

/** Start time of a live process, or NOT_FOUND. */
export function startTicksOf(pid: number): number {
  const stat = processStat(pid);
  if (stat === null || stat.state === 'Z') {
    throw new HoldfastError('NOT_FOUND', `there is no process ${pid} on this node`, 'look at ps -e');
  }
  return stat.startTicks;
}
