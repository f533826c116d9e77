/**
 * Follows a growing file, on storage that other machines write to: it is opened anew for every look, since a
 * network file system promises fresh contents only then, and no change notice crosses machines.
 */

import { open } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

export type FollowEvent =
  | { readonly kind: 'data'; readonly offset: number; readonly bytes: Buffer }
  /** The file was cut: a restart rolls output back to what it was at the checkpoint (invariant L2). */
  | { readonly kind: 'rolledBack'; readonly fromBytes: number; readonly toBytes: number };

const LOOK_MS = 100;
const READ_BYTES = 64 * 1024;

type Look = { readonly sizeBytes: number; readonly bytes: Buffer };

/** What the file holds from an offset on; null while there is no file. */
async function look(path: string, offset: number): Promise<Look | null> {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ESTALE') return null;
    throw error;
  });
  if (file === null) return null;
  try {
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read(Buffer.alloc(READ_BYTES), 0, READ_BYTES, offset);
    return { sizeBytes: size, bytes: buffer.subarray(0, bytesRead) };
  } finally {
    await file.close();
  }
}

/**
 * Yields what is written at and after `offset`, until `ended` is aborted and everything written by then was
 * read. After a roll-back it goes on from the new end, so repeated output appears again.
 */
export async function* follow(path: string, offset: number, ended: AbortSignal): AsyncGenerator<FollowEvent> {
  let position = offset;
  for (;;) {
    // Asked before the look: what was written before the end is then certainly seen.
    const last = ended.aborted;
    const seen = await look(path, position);
    if (seen !== null && seen.sizeBytes < position) {
      yield { kind: 'rolledBack', fromBytes: position, toBytes: seen.sizeBytes };
      position = seen.sizeBytes;
    } else if (seen !== null && seen.bytes.length > 0) {
      yield { kind: 'data', offset: position, bytes: seen.bytes };
      position += seen.bytes.length;
    } else if (last) {
      return;
    } else {
      await delay(LOOK_MS, undefined, { signal: ended }).catch(() => undefined);
    }
  }
}
