/** Cells (docs/native-programs.md): made by holdfast-cell, found again by their run directory. */
import { spawn } from 'node:child_process';
import { createHash, randomInt } from 'node:crypto';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { HoldfastError } from '../../core/errors';
import { nativeProgram } from '../criu/program';
import { trySignal } from '../proc/signals';
import { isAlive } from '../proc/stat';
import { toolEnvironment } from '../run';
import { type RunDirectory, readJson } from '../runDirectory';
import { likeSeat, type Seat } from '../seats/seats';

const cellFile = z.object({
  supervisor_pid: z.number().int(),
  supervisor_start: z.number().int(),
  init_pid: z.number().int(),
  init_start: z.number().int(),
  root_pid: z.number().int().nullable(),
});
const exitFile = z.object({ code: z.number().int().optional(), signal: z.number().int().optional() });

export type CellExit = z.infer<typeof exitFile>;

export interface Cell {
  readonly directory: string;
  readonly supervisorPid: number;
  readonly supervisorStart: number;
  readonly initPid: number;
  readonly initStart: number;
  /** null for a cell that waits for a restore. */
  readonly rootPid: number | null;
}

/** The cell in this run directory, or null when it was never completed. */
export function readCell(directory: string): Cell | null {
  const parsed = cellFile.safeParse(readJson(join(directory, 'cell.json')));
  if (!parsed.success) return null;
  const cell = parsed.data;
  return {
    directory,
    supervisorPid: cell.supervisor_pid,
    supervisorStart: cell.supervisor_start,
    initPid: cell.init_pid,
    initStart: cell.init_start,
    rootPid: cell.root_pid,
  };
}

/** How the cell's root ended; null while it runs. */
export function readCellExit(directory: string): CellExit | null {
  const parsed = exitFile.safeParse(readJson(join(directory, 'exit.json')));
  return parsed.success ? parsed.data : null;
}

export const isCellAlive = (cell: Cell): boolean => isAlive(cell.initPid, cell.initStart);

/** Ends everything in the cell at once: the kernel kills what lives in a pid namespace with its init. */
export async function endCell(cell: Cell): Promise<void> {
  if (isCellAlive(cell)) trySignal(cell.initPid, 'SIGKILL');
  const deadline = Date.now() + 10_000;
  while (isAlive(cell.supervisorPid, cell.supervisorStart)) {
    if (Date.now() > deadline) throw new HoldfastError('INTERNAL', `cell ${cell.directory} does not end`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export function removeCellDirectory(directory: string): void {
  rmSync(directory, { recursive: true, force: true });
}

/** Starts holdfast-cell and waits until the cell stands. */
function startCellProgram(directory: string, args: string[], environment: NodeJS.ProcessEnv): Promise<Cell> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const child = spawn(nativeProgram('holdfast-cell'), args, {
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: toolEnvironment(),
  });
  // Never as the environment of a program that runs as root: the user chose it (LD_PRELOAD).
  child.stdin.on('error', () => {}); // its message on stderr tells more
  child.stdin.end(
    Object.entries(environment)
      .map(([name, value]) => `${name}=${value}\0`)
      .join(''),
  );
  let stderr = '';
  child.stderr.on('data', (data: Buffer) => {
    stderr += data.toString();
  });
  return new Promise((resolve, reject) => {
    const fail = (why: string) => {
      removeCellDirectory(directory);
      reject(new HoldfastError('INVALID_ARGUMENT', `the job's cell cannot be made: ${stderr.trim() || why}`));
    };
    child.on('error', (error) => fail(error.message));
    child.on('close', () => fail('holdfast-cell ended'));
    child.stdout.once('data', () => {
      const cell = readCell(directory);
      if (cell === null) {
        fail('no cell.json');
        return;
      }
      child.removeAllListeners('close');
      child.stdout.destroy();
      child.stderr.destroy();
      child.unref(); // the cell outlives the agent
      resolve(cell);
    });
  });
}

// Pids of different jobs of one user should differ: MPI libraries put them into names of shared files.
const randomFirstPid = (): number => randomInt(1000, 30_000);

export interface StartCell {
  readonly directory: string;
  readonly rootProgram: string;
  /** Whether the tree goes on when its command has ended and left daemons. */
  readonly stay: boolean;
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  readonly workingDirectory: string;
  readonly outputPath: string;
  readonly environment: Record<string, string>;
  readonly argv: readonly string[];
  /** Where it lives; null: in the agent's own control groups. */
  readonly seat: Seat | null;
}

export function startCell(start: StartCell): Promise<Cell> {
  const args = [
    ...[
      'start',
      '--dir',
      start.directory,
      '--root-program',
      start.rootProgram,
      ...(start.stay ? ['--stay'] : []),
      ...likeSeat(start.seat),
    ],
    ...['--uid', String(start.uid), '--gid', String(start.gid), '--groups', start.groups.join(',')],
    ...['--cwd', start.workingDirectory, '--output', start.outputPath],
    ...['--environment-from-stdin', '--first-pid', String(randomFirstPid()), '--', ...start.argv],
  ];
  return startCellProgram(start.directory, args, start.environment);
}

/** A cell that waits for CRIU to restore a tree with this root; `takenIds` stay free for the tree. */
export function adoptingCell(
  directory: string,
  rootPid: number,
  takenIds: readonly number[],
  seat: Seat | null,
): Promise<Cell> {
  const args = ['adopt', '--dir', directory, '--root-pid', String(rootPid), ...likeSeat(seat)];
  return startCellProgram(directory, [...args, '--first-pid', String(freePidAfter(takenIds))], {});
}

/** CRIU's own processes in the cell must not take an id that the image needs. */
export function freePidAfter(takenIds: readonly number[]): number {
  const window = 300;
  const sorted = [...takenIds].sort((a, b) => a - b);
  let candidate = 2;
  for (const pid of sorted) {
    if (pid >= candidate + window) break;
    candidate = Math.max(candidate, pid + 1);
  }
  return candidate;
}

/** The root program under a name that tells its content, so that checkpoints outlive upgrades. */
export function installRootProgram(directory: RunDirectory): string {
  const source = nativeProgram('holdfast-root');
  const hash = createHash('sha256').update(readFileSync(source)).digest('hex');
  const folder = join(directory.path, 'bin', hash);
  const target = join(folder, 'holdfast-root');
  if (!existsSync(target)) {
    mkdirSync(folder, { recursive: true, mode: 0o755 });
    copyFileSync(source, `${target}.tmp`);
    chmodSync(`${target}.tmp`, 0o755);
    renameSync(`${target}.tmp`, target);
  }
  return target;
}
