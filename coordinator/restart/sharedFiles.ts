/** Append-only files on shared storage: one node rolls them back for all (L2). Pure. */
import type { NodePart, SharedFile } from '../../proto/gen/holdfast/v1/manifest';

/**
 * The files any tree writes by appending, each once. Nodes are frozen one after the other: one that was frozen later
 * may have seen more of a file, and its memory counts that as written. So the largest size holds.
 */
export function appendedFiles(parts: readonly NodePart[]): SharedFile[] {
  const files = new Map<string, SharedFile>();
  for (const file of parts.flatMap((part) => part.trees).flatMap((tree) => tree.sharedFiles)) {
    if (!file.writable || !file.appendOnly) continue;
    const known = files.get(file.path);
    if (known === undefined || known.sizeBytes < file.sizeBytes) files.set(file.path, file);
  }
  return [...files.values()];
}
