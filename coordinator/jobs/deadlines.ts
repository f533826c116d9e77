/**
 * When a job's run ends at the latest: in each manifest as of its commit, and beside it what was set later, so that a job that is found
 * again after a loss of Redis still gets its last checkpoint (C4).
 */
import { z } from 'zod';
import type { Manifest } from '../../proto/gen/holdfast/v1/manifest';
import type { ObjectStore } from '../../store/contract';
import { readNote, writeNote } from '../catalog/notes';

const noteSchema = z.object({ deadlineMs: z.number(), setMs: z.number() });

const noteKey = (job: string): string => `deadlines/${job}.json`;

/** @param deadlineMs Unix time; 0: none */
export async function saveDeadline(
  store: ObjectStore,
  job: string,
  deadlineMs: number,
  nowMs: number,
): Promise<void> {
  await writeNote(store, noteKey(job), { deadlineMs, setMs: nowMs });
}

/**
 * What was set after the job's newest manifest, Unix time, 0 for none; null: nothing was.
 * @param committedMs when that manifest was made
 * @throws HoldfastError CORRUPT, STORE_UNAVAILABLE, STORE_REFUSED
 */
export async function laterDeadline(
  store: ObjectStore,
  job: string,
  committedMs: number,
): Promise<number | null> {
  const { success, data } = noteSchema.safeParse(await readNote(store, noteKey(job)));
  return success && data.setMs >= committedMs ? data.deadlineMs : null;
}

/** Unix time; 0: none. Manifests of earlier releases say only what was asked for. */
export function deadlineAt(header: Manifest['header']): number {
  return header?.deadlineMs ?? header?.spec?.deadlineMs ?? 0;
}
