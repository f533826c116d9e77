/** Clones that keep the memory of a held process (docs/native-programs.md); a part of the native boundary. */
import { loadEngine, MAX_PID, requireInteger, translated, translatedAsync } from './load';

/** A clone that keeps the memory of a process as it was at the hold. It never runs. */
export interface Snapshot {
  /** False when the clone has ended before its time (killed, out of memory): what was read of it does not count. */
  isIntact(): boolean;
  /**
   * Ends the clone and has its remains removed from its parent, which is stopped for less than a millisecond for that. A
   * parent that CRIU still holds is waited for, some seconds. Safe twice.
   */
  close(): Promise<void>;
}

interface NativeSnapshots {
  NativeSnapshot: new (clonePid: number, parentPid: number) => Snapshot;
  endSnapshot(clonePid: number, parentPid: number): Promise<void>;
}

const engine = (): NativeSnapshots => loadEngine() as NativeSnapshots;

/**
 * Takes over a clone that the preload has made (HOLDFAST_SNAPSHOT): from now on it ends with this process, and no signal makes
 * it run. Pids are those of this process's pid namespace. NOT_FOUND when there is none, WRONG_STATE when it is something else.
 */
export function adoptSnapshot(clonePid: number, parentPid: number): Snapshot {
  requireInteger('clonePid', clonePid, 1, MAX_PID);
  requireInteger('parentPid', parentPid, 1, MAX_PID);
  const { NativeSnapshot } = engine();
  const native = translated(() => new NativeSnapshot(clonePid, parentPid));
  return {
    isIntact: () => native.isIntact(),
    close: () => translatedAsync(() => native.close()),
  };
}

/**
 * Ends a clone that was never adopted, or whose adopter has died, and removes what is left of it. Nothing there is no failure;
 * another process under that pid is (WRONG_STATE), and is not touched.
 */
export async function endSnapshot(clonePid: number, parentPid: number): Promise<void> {
  requireInteger('clonePid', clonePid, 1, MAX_PID);
  requireInteger('parentPid', parentPid, 1, MAX_PID);
  await translatedAsync(() => engine().endSnapshot(clonePid, parentPid));
}
