/**
 * Copy-on-write clones of a held tree's processes (docs/native-programs.md): made by the preload inside CRIU, adopted at the
 * gate, read after the release, and ended whatever happens. Their cost is the memory that the job writes meanwhile.
 */
import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import { HoldfastError } from '../../core/errors';
import { adoptSnapshot, endSnapshot, type Snapshot, type SnapshotPids } from '../../native';
import { readJson, writeJson } from '../runDirectory';
import { memoryHeadroom } from './headroom';

const pidsFile = z.array(z.object({ pid: z.number().int(), clonePid: z.number().int() }));

/** A job whose control group, or whose node, has less left than this would soon be killed for a snapshot's sake. */
const SMALLEST_HEADROOM_BYTES = 64 << 20;
const WATCH_MS = 50;
/** What is not read by then costs the job more than it is worth. */
const LONGEST_MS = 15 * 60_000;

/** Lines of the preload's file: PID CLONE, or PID 0 REASON; pids as CRIU sees them. */
export function parseSnapshots(text: string): { pid: number; clonePid: number }[] {
  return text.split('\n').flatMap((line) => {
    const match = /^(\d+) ([1-9]\d*)$/.exec(line);
    return match ? [{ pid: Number(match[1]), clonePid: Number(match[2]) }] : [];
  });
}

type OuterPid = (pid: number) => number | undefined;

function snapshotsIn(file: string, outer: OuterPid): SnapshotPids[] {
  const named = existsSync(file) ? parseSnapshots(readFileSync(file, 'utf8')) : [];
  return named.flatMap(({ pid, clonePid }) => {
    const [here, clone] = [outer(pid), outer(clonePid)];
    return here !== undefined && clone !== undefined ? [{ pid: here, clonePid: clone }] : [];
  });
}

async function endEach(snapshots: readonly SnapshotPids[]): Promise<void> {
  await Promise.allSettled(snapshots.map(({ pid, clonePid }) => endSnapshot(clonePid, pid)));
}

export class Snapshots {
  private readonly adopted: Snapshot[] = [];
  private watch: NodeJS.Timeout | null = null;
  private problem: HoldfastError | null = null;

  private constructor(readonly pids: readonly SnapshotPids[]) {}

  /**
   * Takes over what the preload has made; none when it made none.
   * @param outer a pid as this process sees it, for one that CRIU sees
   */
  static adopt(file: string, outer: OuterPid): Snapshots {
    const found = snapshotsIn(file, outer);
    // Before any of them is used: an agent that comes after this one ends them (L1).
    writeJson(`${file}.json`, found);
    const snapshots = new Snapshots(found);
    for (const { pid, clonePid } of found) snapshots.adopted.push(adoptSnapshot(clonePid, pid));
    return snapshots;
  }

  /** Ends what the preload has made and nobody will read: the hold was given up before. */
  static async endUnread(file: string, outer: OuterPid): Promise<void> {
    await endEach(snapshotsIn(file, outer));
  }

  /** Ends what an agent that died left behind. @param file that adopt() wrote */
  static async endAll(file: string): Promise<void> {
    const found = pidsFile.safeParse(readJson(file));
    if (found.success) await endEach(found.data);
  }

  /** From the release on: gives up, by onProblem, before the job has to pay with its memory. */
  begin(onProblem: (problem: HoldfastError) => void): void {
    if (this.pids.length === 0) return;
    const endMs = performance.now() + LONGEST_MS;
    const look = (): void => {
      const problem = this.findProblem(endMs);
      if (problem === null) return;
      if (this.watch) clearInterval(this.watch);
      this.problem = problem;
      onProblem(problem);
    };
    this.watch = setInterval(look, WATCH_MS);
    this.watch.unref();
    look();
  }

  /** What was read counts only if every clone is still there. @throws LIMIT_EXCEEDED, TIMEOUT, HOLD_LOST */
  requireIntact(): void {
    if (this.problem) throw this.problem;
    if (this.adopted.every((snapshot) => snapshot.isIntact())) return;
    throw new HoldfastError(
      'HOLD_LOST',
      'a snapshot ended before it was read',
      'the job runs on; try --live never',
    );
  }

  async close(): Promise<void> {
    if (this.watch) clearInterval(this.watch);
    await Promise.allSettled(this.adopted.map((snapshot) => snapshot.close()));
  }

  private findProblem(endMs: number): HoldfastError | null {
    if (performance.now() > endMs) {
      return new HoldfastError(
        'TIMEOUT',
        'the snapshot of the job was not read in time',
        'the job runs on; try --live never',
      );
    }
    const { bytes, of } = memoryHeadroom(this.pids.map(({ pid }) => pid));
    if (bytes >= SMALLEST_HEADROOM_BYTES) return null;
    const left = `${Math.round(bytes / 2 ** 20)} MiB are left of ${of}`;
    return new HoldfastError(
      'LIMIT_EXCEEDED',
      `the snapshot was given up: ${left}`,
      'the job runs on; try --live never',
    );
  }
}
