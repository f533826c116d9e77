/** CRIU's command lines (docs/native-programs.md says which option is there for which trap). */
import { join } from 'node:path';
import type { FileOwner } from '../files/shared';
import { GHOST_LIMIT_BYTES } from '../preflight/rules';
import { toolEnvironment } from '../run';
import { nativeProgram } from './program';

const COMMON = [
  '--tcp-established',
  '--ext-unix-sk',
  '--file-locks',
  '--link-remap',
  '--shell-job',
  ...['--network-lock', 'nftables'],
  ...['--manage-cgroups=ignore'],
  '-v4',
];

export const DUMP_LOG = 'dump.log';
export const RESTORE_LOG = 'restore.log';

const criuEnvironment = (gate: string): NodeJS.ProcessEnv => ({
  ...toolEnvironment(),
  LD_PRELOAD: nativeProgram('holdfast-preload.so'),
  HOLDFAST_GATED_ACTION: gate,
});

export interface CriuCommand {
  readonly command: string[];
  readonly environment: NodeJS.ProcessEnv;
  readonly logPath: string;
}

/**
 * `rootPid` as CRIU sees it: in the cell's pid namespace when it runs there.
 * @param snapshots where the clones are named that keep the memory of the hold; null: none are made
 * @param segments where the shared memory is noted whose contents it leaves to the memory engine
 */
export function dumpCommand(
  criu: string,
  rootPid: number,
  images: string,
  externals: readonly string[],
  snapshots: string | null,
  segments: string,
): CriuCommand {
  return {
    command: [
      ...[criu, 'dump', '--tree', String(rootPid), '--images-dir', images, '--leave-running', '-o', DUMP_LOG],
      ...['--ghost-limit', String(GHOST_LIMIT_BYTES), '--action-script', nativeProgram('holdfast-hold')],
      ...COMMON,
      ...externals.flatMap((resource) => ['--external', resource]),
    ],
    environment: {
      ...criuEnvironment('post-dump'),
      HOLDFAST_HOLLOW: '1',
      ...(snapshots === null ? {} : { HOLDFAST_SNAPSHOT: snapshots }),
      HOLDFAST_SEGMENTS: segments,
      HOLDFAST_TREE: String(rootPid),
    },
    logPath: join(images, DUMP_LOG),
  };
}

/**
 * `lazy`: who serves the missing pages listens in the image directory.
 * `inherited`: descriptor number in CRIU -> resource it replaces. `user`: whose rights CRIU gets for the job's paths.
 */
export function restoreCommand(
  criu: string,
  images: string,
  inherited: ReadonlyMap<number, string>,
  user: FileOwner,
  lazy: boolean,
): CriuCommand {
  return {
    command: [
      ...[criu, 'restore', '--images-dir', images, '--restore-detached', '-o', RESTORE_LOG],
      ...['--action-script', nativeProgram('holdfast-hold')],
      ...(lazy ? ['--lazy-pages'] : []),
      ...COMMON,
      ...[...inherited].flatMap(([fd, resource]) => ['--inherit-fd', `fd[${fd}]:${resource}`]),
    ],
    environment: {
      ...criuEnvironment('pre-resume'),
      HOLDFAST_RESTORE: '1',
      HOLDFAST_USER: `${user.uid}:${user.gid}:${user.groups.join(',')}`,
    },
    logPath: join(images, RESTORE_LOG),
  };
}
