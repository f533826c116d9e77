/**
 * Node-local files that a restart puts back (invariant L1): those that were not there before are on record before they
 * are made, and go again when the restart fails. Removed with the job's own rights, as they are made.
 */
import { existsSync, lstatSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { runTool } from '../run';
import { readJson, writeJson } from '../runDirectory';
import { asUser, type FileOwner } from './shared';

const stagedFile = z.object({
  uid: z.number().int(),
  gid: z.number().int(),
  groups: z.array(z.number().int()),
  paths: z.array(z.string().startsWith('/')),
});

const recordPath = (directory: string): string => join(directory, 'staged.json');

function isThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false; // something else is in its way: unpacking will say so
  }
}

/** @param directory of the tree in its operation's directory */
export function recordStaged(
  directory: string,
  { uid, gid, groups }: FileOwner,
  paths: readonly string[],
): void {
  const made = paths.filter((path) => !isThere(path));
  writeJson(recordPath(directory), { uid, gid, groups: [...groups], paths: made });
}

/** Takes the files away again; a directory that has got others in the meantime stays. */
export async function removeStaged(directory: string): Promise<void> {
  if (!existsSync(recordPath(directory))) return;
  const { paths, ...owner } = stagedFile.parse(readJson(recordPath(directory)));
  const children = [...paths].sort().reverse();
  const command = ['xargs', '--null', '--no-run-if-empty', 'rm', '--dir', '--force', '--'];
  await runTool('setpriv', [...asUser(owner), ...command], children.map((path) => `${path}\0`).join(''));
  rmSync(recordPath(directory));
}
