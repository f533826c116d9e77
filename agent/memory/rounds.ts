/**
 * When to stop copying memory while the job runs, and whether the rest needs a snapshot. Pure; the rates are what was
 * measured in the rounds before.
 */
import { LiveMode } from '../../proto/gen/holdfast/v1/manifest';

const PAGE_BYTES = 4096;

export interface Round {
  /** Pages that had been written since the round before. */
  readonly stalePages: number;
  readonly durationMs: number;
}

/** Copying memory into buffers that are there: what one core does, with much to spare (bytes per ms). */
const COPY_BYTES_PER_MS = 1.5e6;
/** A copy-on-write clone, by the memory that is mapped. */
const CLONE_BYTES_PER_MS = 50e6;
/** What clones cost besides: injections into every process, and the faults of the job's first writes afterwards. */
const CLONE_MS = 40;

/** With less to copy than this, another round would shorten the hold by less than anybody notices. */
const TARGET_MS = 10;
const MAX_ROUNDS = 8;
/** A round is worth its work when it leaves at most this part of what the last one found. */
const SHRINKING = 0.7;
/** More than that was left than the rounds of some time ago had found: the job does something else now. */
const GROWN = 1.5;
/** Of less, a copy too many does not matter. */
const MUCH_BYTES = 64 << 20;
const MAX_SKIPPED = 8;

/** Where copied pages wait to be encoded and stored. */
export interface Buffers {
  readonly bytes: number;
  /** How fast they get free again, once they are full. */
  readonly drainBytesPerMs: number;
}

/** What the last checkpoint of a tree has shown. */
export interface Experience {
  /** Pages that the first round found; of the last checkpoint that had rounds. */
  readonly foundPages: number;
  /** Pages that were left to the hold. */
  readonly heldPages: number;
  readonly presentBytes: number;
  /** Checkpoints since then that had no rounds. */
  readonly skipped: number;
}

/** How long the hold would take for its copying. */
export function copyMs(bytes: number, buffers: Buffers): number {
  const buffered = Math.min(bytes, buffers.bytes);
  return buffered / COPY_BYTES_PER_MS + (bytes - buffered) / buffers.drainBytesPerMs;
}

/** Bytes that will have been written when the job is frozen now: as many as in the last round, at the same rate. */
export function residualBytes(rounds: readonly Round[]): number {
  const last = rounds.at(-1);
  const before = rounds.at(-2);
  if (!last) return 0;
  // The first round finds what was written since the last checkpoint, however long ago: an upper bound.
  const rate = before ? last.stalePages / Math.max(before.durationMs, 1) : 0;
  const pages = before ? Math.min(last.stalePages, rate * last.durationMs) : last.stalePages;
  return pages * PAGE_BYTES;
}

/**
 * Whether rounds would leave less to the hold. A job that writes the same pages all the time has them copied for nothing, and
 * pays for it with the processors' time: then the snapshot, or the hold, copies once.
 */
export function roundsAreWorthIt(last: Experience | null): boolean {
  if (last === null || last.skipped >= MAX_SKIPPED) return true;
  if (last.foundPages * PAGE_BYTES < MUCH_BYTES) return true;
  const share = last.heldPages / last.foundPages;
  return share <= SHRINKING || share > GROWN;
}

/** Bytes that the hold will have to do with. */
export function expectedBytes(rounds: readonly Round[], last: Experience | null): number {
  return rounds.length > 0 || last === null ? residualBytes(rounds) : last.heldPages * PAGE_BYTES;
}

/** Whether another round is worth it. */
export function wantsAnotherRound(rounds: readonly Round[], buffers: Buffers): boolean {
  const last = rounds.at(-1);
  const before = rounds.at(-2);
  if (!last) return true;
  if (rounds.length >= MAX_ROUNDS || last.stalePages === 0) return false;
  if (copyMs(residualBytes(rounds), buffers) <= TARGET_MS) return false;
  return before === undefined || last.stalePages <= SHRINKING * before.stalePages;
}

/** Whether the hold should make a snapshot instead of copying. @param residual bytes, see expectedBytes() */
export function wantsSnapshot(
  mode: LiveMode,
  residual: number,
  presentBytes: number,
  buffers: Buffers,
): boolean {
  if (mode === LiveMode.NEVER) return false;
  if (mode === LiveMode.ALWAYS) return true;
  return copyMs(residual, buffers) > CLONE_MS + presentBytes / CLONE_BYTES_PER_MS;
}
