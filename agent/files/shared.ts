/** Files on shared storage: recorded at the checkpoint, checked and rolled back at the restart (invariant L2). */
import { existsSync, realpathSync } from 'node:fs';
import { HoldfastError } from '../../core/errors';
import type { SharedFile } from '../../proto/gen/holdfast/v1/manifest';
import { type Descriptor, isAppend, isWritable, statDescriptor } from '../proc/descriptors';
import { runTool } from '../run';
import { isLocal } from './localRoots';

/** Regular files the tree has open outside the local roots, each once. The tree must be frozen. */
export function recordSharedFiles(
  descriptors: readonly Descriptor[],
  localRoots: readonly string[],
): SharedFile[] {
  const files = new Map<string, SharedFile>();
  for (const { pid, fd, target, flags, position } of descriptors) {
    if (!target.startsWith('/') || target.endsWith(' (deleted)') || isLocal(target, localRoots)) continue;
    const stat = statDescriptor(pid, fd);
    if (!stat?.isFile()) continue;
    const size = Number(stat.size);
    const writable = isWritable(flags);
    const appending = writable && (isAppend(flags) || position === size);
    const known = files.get(target);
    files.set(target, {
      path: target,
      sizeBytes: size,
      device: Number(stat.dev),
      inode: Number(stat.ino),
      mtimeMs: Number(stat.mtimeMs),
      writable: writable || (known?.writable ?? false),
      // A descriptor that only reads says nothing about how the file grows.
      appendOnly: writable
        ? appending && (!known?.writable || known.appendOnly)
        : (known?.appendOnly ?? false),
    });
  }
  return [...files.values()];
}

export type FileVerdict =
  | { readonly action: 'keep' }
  | { readonly action: 'roll-back'; readonly tailBytes: number }
  | { readonly action: 'refuse'; readonly problem: string; readonly remedy: string };

/** Pure: what has to happen to a recorded file so that the job finds it as it was. */
export function judgeFile(recorded: SharedFile, sizeNow: number | null): FileVerdict {
  if (sizeNow === null) return { action: 'refuse', problem: 'it is gone', remedy: 'put the file back' };
  if (sizeNow === recorded.sizeBytes) return { action: 'keep' };
  if (sizeNow < recorded.sizeBytes) {
    const problem = `it has shrunk from ${recorded.sizeBytes} to ${sizeNow} bytes`;
    return {
      action: 'refuse',
      problem,
      remedy: 'append the tail that an earlier restart kept beside it, or restart from an older checkpoint',
    };
  }
  if (recorded.appendOnly) return { action: 'roll-back', tailBytes: sizeNow - recorded.sizeBytes };
  const problem = `it has grown from ${recorded.sizeBytes} to ${sizeNow} bytes and was not only appended to`;
  return { action: 'refuse', problem, remedy: 'restore the file as it was at the checkpoint' };
}

/**
 * The recorded path was free of symbolic links (it came from /proc). CRIU opens it as root: a link that was put in
 * its way since would give the job a file that its user may not have.
 */
export function requireSamePath(path: string): void {
  const real = existsSync(path) ? realpathSync(path) : path;
  if (real === path) return;
  const remedy = 'put the file back at its own path, or restart from a checkpoint made since';
  throw new HoldfastError('FILE_CHANGED', `${path} has become a symbolic link to ${real}`, remedy);
}

/** Where the tail of a rolled back file goes: beside it, never over an older one. */
export function freeTailPath(path: string, generation: number): string {
  const base = `${path}.holdfast-tail-${generation}`;
  for (let number = 1; ; number++) {
    const candidate = number === 1 ? base : `${base}.${number}`;
    if (!existsSync(candidate)) return candidate;
  }
}

export interface FileOwner {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
}

// Never with our own rights: between checkpoint and restart the user may have put a symbolic link in the way.
const ROLL_BACK = 'set -C; tail -c +"$2" -- "$1" > "$3" && sync -- "$3" && truncate -s "$4" -- "$1"';

/** Cuts the file back to the recorded size, as its owner; the tail is durable at `tailPath` before the cut. */
export async function rollBack(recorded: SharedFile, tailPath: string, owner: FileOwner): Promise<void> {
  const { path, sizeBytes } = recorded;
  const result = await runTool('setpriv', [
    ...asUser(owner),
    ...['sh', '-c', ROLL_BACK, 'sh', path, String(sizeBytes + 1), tailPath, String(sizeBytes)],
  ]);
  if (result.code === 0) return;
  const cause = result.stderr.trim();
  throw new HoldfastError('FILE_CHANGED', `${path} cannot be rolled back to ${sizeBytes} bytes: ${cause}`);
}

/** setpriv(1) arguments that give up every right but the user's. */
export function asUser({ uid, gid, groups }: FileOwner): string[] {
  const identity = ['--reuid', String(uid), '--regid', String(gid), '--inh-caps=-all'];
  return [...identity, ...(groups.length > 0 ? ['--groups', groups.join(',')] : ['--clear-groups']), '--'];
}
