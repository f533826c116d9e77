/**
 * Where a directory store keeps what: objects under their keys, and files that are being written apart from
 * them, so that no listing and no key can meet an unfinished file. Both lie in one file system, as rename(2) and link(2) ask.
 */
import { randomUUID } from 'node:crypto';
import type { Stats } from 'node:fs';
import { readdir, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { HoldfastError } from '../../core/errors';
import { makeDirectory, syncDirectory } from './durable';
import { errnoOf } from './errors';

export interface Layout {
  readonly root: string;
  readonly objects: string;
  readonly incoming: string;
}

export function layoutOf(root: string): Layout {
  return { root, objects: join(root, 'objects'), incoming: join(root, 'incoming') };
}

export function newIncomingPath({ incoming }: Layout): string {
  return join(incoming, randomUUID());
}

/** Makes the directories, and refuses them when other users could put objects there. */
export async function makeLayout({ root, objects, incoming }: Layout): Promise<void> {
  for (const path of [root, objects, incoming]) {
    await makeDirectory(path);
    await syncDirectory(dirname(path));
    const problem = distrust(await stat(path));
    if (problem === null) continue;
    throw new HoldfastError(
      'STORE_REFUSED',
      `the store directory ${path} ${problem}`,
      `chown and chmod 0700 ${path}`,
    );
  }
}

/** Why the directory's content could be another user's, or null. Agents are root: they must not read images made by others. */
function distrust({ uid, mode }: Stats): string | null {
  if (uid !== 0 && uid !== process.geteuid?.()) return `belongs to uid ${uid}`;
  return (mode & 0o022) === 0 ? null : `is writable by others (mode 0${(mode & 0o7777).toString(8)})`;
}

/** Removes files that a dead writer left; no writer takes as long as `maxAgeMs`. */
export async function removeStaleIncoming(
  { incoming }: Layout,
  nowMs: number,
  maxAgeMs: number,
): Promise<void> {
  for (const name of await readdir(incoming)) {
    const path = join(incoming, name);
    try {
      if (nowMs - (await stat(path)).mtimeMs > maxAgeMs) await unlink(path);
    } catch (error) {
      // Its writer, or another process that opens the store, was faster.
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
  }
}
