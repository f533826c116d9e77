/** Writes that are on the disk when they return. */
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoOf } from './errors';

/** Makes directory entries that were added to or removed from `path` durable. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Syncs `directory` and each of its parents down from `root`. All of them every time, since a directory that
 * exists may have been made by another process that has not synced it yet; a clean one costs next to nothing.
 */
export async function syncUpTo(root: string, directory: string): Promise<void> {
  for (let path = directory; path.length >= root.length; path = dirname(path)) {
    try {
      await syncDirectory(path);
    } catch (error) {
      // Somebody deleted the object since, and its directory with it.
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
  }
}

/** Makes a private directory and its missing parents. */
export async function makeDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
}

/** Writes a new private file and syncs it; returns it open. The caller closes it. */
export async function writeNewFile(path: string, body: Uint8Array): Promise<FileHandle> {
  const handle = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    await handle.writeFile(body);
    await handle.datasync();
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}
