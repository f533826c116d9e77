import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ObjectInfo } from '../contract';
import { checkPrefix, isKeyPart } from '../key';
import { isMissing } from './errors';

/** Every object below `objects` whose key starts with `prefix`, in key order. Holds one directory's names per level. */
export async function* listObjects(objects: string, prefix: string): AsyncGenerator<ObjectInfo> {
  const { directory, rest } = checkPrefix(prefix);
  yield* walk(objects, directory.map((part) => `${part}/`).join(''), rest);
}

async function* walk(objects: string, parent: string, startsWith: string): AsyncGenerator<ObjectInfo> {
  for (const entry of await sortedEntries(join(objects, parent))) {
    if (!entry.startsWith(startsWith)) continue;
    const key = parent + entry;
    if (entry.endsWith('/')) {
      yield* walk(objects, key, '');
    } else {
      const info = await objectInfo(objects, key);
      if (info !== null) yield info;
    }
  }
}

/** With its slash a directory sorts where the keys below it belong. Names that are no key are not ours. */
async function sortedEntries(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(noneWhenMissing);
  return entries
    .filter((entry) => isKeyPart(entry.name))
    .map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name))
    .sort();
}

function noneWhenMissing(error: unknown): Dirent[] {
  if (isMissing(error)) return [];
  throw error;
}

/** null when there is no object of that key. */
export async function objectInfo(objects: string, key: string): Promise<ObjectInfo | null> {
  try {
    const found = await stat(join(objects, key));
    return found.isFile() ? { key, sizeBytes: found.size, modifiedMs: found.mtimeMs } : null;
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}
