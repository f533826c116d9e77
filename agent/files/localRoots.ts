/** Which paths are node-local: they travel with the checkpoint, all others stay where they are. */
import { normalize } from 'node:path';

/** The local root that holds the path, or null. */
export function localRootOf(path: string, localRoots: readonly string[]): string | null {
  const clean = normalize(path);
  return localRoots.find((root) => clean.startsWith(`${root}/`)) ?? null;
}

export const isLocal = (path: string, localRoots: readonly string[]): boolean =>
  localRootOf(path, localRoots) !== null;
