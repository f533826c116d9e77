/** Starts a tree in a cell of its own, or takes over a process that runs already. */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { HoldfastError } from '../core/errors';
import { seatOf } from '../core/slurm/names';
import { PROJECT_ROOT } from '../native/paths';
import type { Adopt, Launch, TreeStarted } from '../proto/gen/holdfast/v1/agent';
import { installRootProgram, readCellExit, startCell } from './cell/cell';
import type { AgentContext } from './context';
import { commandLine, processIdentity, processStat } from './proc/stat';
import { mustRun, runTool } from './run';
import { startTicksOf, type Tree } from './trees';

/** What MPI launchers need to start their remote daemons through Holdfast instead of ssh. */
export function launcherEnvironment(
  job: string,
  remoteShell: string,
  socket: string,
): Record<string, string> {
  return {
    HOLDFAST_JOB: job,
    HOLDFAST_SOCKET: socket,
    OMPI_MCA_plm_rsh_agent: remoteShell,
    HYDRA_LAUNCHER: 'ssh',
    HYDRA_LAUNCHER_EXEC: remoteShell,
  };
}

const POLL_MS = 20;
/** A remote daemon that has not failed by then is up. It may stay in the foreground, and its launcher must not wait. */
const START_GRACE_MS = 400;

/**
 * The exit code of the tree's command, out of the root program's name (`hf-root=CODE`); undefined when the command goes on.
 * The remote shell must end while it does: as long as it lives it is a process of the tree that is connected to this agent,
 * which no checkpoint could carry.
 */
async function commandExitCode(tree: Tree): Promise<number | undefined> {
  for (const deadline = Date.now() + START_GRACE_MS; Date.now() < deadline; ) {
    const match = /^hf-root=(\d+)$/.exec(processStat(tree.rootPid)?.comm ?? '');
    if (match) return Number(match[1]);
    const exit = readCellExit(tree.directory);
    if (exit) return exit.code ?? 128 + (exit.signal ?? 0);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return undefined;
}

/** What this node's user database says; none for a user it does not know. */
async function supplementaryGroups(uid: number): Promise<number[]> {
  const { code, stdout } = await runTool('getent', ['passwd', String(uid)]);
  const [name] = stdout.split(':');
  if (code !== 0 || !name) return [];
  return (await mustRun('id', ['-G', '--', name])).trim().split(' ').map(Number);
}

export async function launch(context: AgentContext, job: string, request: Launch): Promise<TreeStarted> {
  const { spec } = request;
  if (!spec || spec.argv.length === 0) throw new HoldfastError('INVALID_ARGUMENT', 'the job has no command');
  const { options, directory } = context;
  const seat = spec.slurm ? context.seats.require(seatOf(spec.slurm), spec.uid) : null;
  const rootProgram = installRootProgram(directory);
  const cellDirectory = directory.cell(job, request.treeId, request.incarnation);
  const remoteShell = options.remoteShell ?? join(PROJECT_ROOT, 'bin', 'holdfast-rsh');
  const groups = await supplementaryGroups(spec.uid);
  const cell = await startCell({
    directory: cellDirectory,
    rootProgram,
    stay: !request.main,
    uid: spec.uid,
    gid: spec.gid,
    groups,
    workingDirectory: spec.workingDirectory,
    outputPath: spec.outputPath,
    environment: { ...spec.environment, ...launcherEnvironment(job, remoteShell, options.toolsSocket) },
    argv: spec.argv,
    seat,
  });
  if (cell.rootPid === null) throw new HoldfastError('INTERNAL', `cell ${cellDirectory} has no root`);
  const tree = context.trees.add({
    job,
    treeId: request.treeId,
    main: request.main,
    incarnation: request.incarnation,
    rootPid: cell.rootPid,
    rootStart: processStat(cell.rootPid)?.startTicks ?? 0,
    uid: spec.uid,
    gid: spec.gid,
    groups,
    command: spec.argv.join(' '),
    rootProgram,
    inCell: true,
    seat: seat ?? undefined,
  });
  const started = { treeId: tree.treeId, rootPid: tree.rootPid, uid: tree.uid, command: tree.command };
  return request.waitForCommand ? { ...started, commandExitCode: await commandExitCode(tree) } : started;
}

/** Takes over a running process; only its owner and root may ask. */
export function adopt(context: AgentContext, job: string, request: Adopt): TreeStarted {
  const rootStart = startTicksOf(request.pid);
  // D3
  if (request.startTicks !== 0 && request.startTicks !== rootStart)
    throw new HoldfastError('NOT_FOUND', `process ${request.pid} has ended, and another one has its pid`);
  const identity = processIdentity(request.pid);
  if (identity === null)
    throw new HoldfastError('NOT_FOUND', `there is no process ${request.pid} on this node`);
  if (request.callerUid !== 0 && identity.uids.some((uid) => uid !== request.callerUid)) {
    throw new HoldfastError('PERMISSION_DENIED', `process ${request.pid} belongs to uid ${identity.uid}`);
  }
  if (request.pid === 1)
    throw new HoldfastError('INVALID_ARGUMENT', 'the init process of a node cannot be captured');
  if (context.trees.all().some((tree) => tree.rootPid === request.pid)) {
    throw new HoldfastError(
      'WRONG_STATE',
      `process ${request.pid} is the root of a job already`,
      'see holdfast jobs',
    );
  }
  mkdirSync(context.directory.cell(job, request.treeId, request.incarnation), {
    recursive: true,
    mode: 0o700,
  });
  const tree = context.trees.add({
    job,
    treeId: request.treeId,
    main: true,
    incarnation: request.incarnation,
    rootPid: request.pid,
    rootStart,
    uid: identity.uid,
    gid: identity.gid,
    groups: [...identity.groups],
    command: commandLine(request.pid),
    rootProgram: '',
    inCell: false,
  });
  return { treeId: tree.treeId, rootPid: tree.rootPid, uid: tree.uid, command: tree.command };
}
