/** Runs a capture to its end and keeps copies of everything. */
import {
  type Capture,
  type CaptureOptions,
  type CaptureProcess,
  type CaptureTotals,
  type Ledger,
  openLedger,
  type PageScan,
  type SnapshotPids,
  startCapture,
} from '../../../native';

export const MIB = 2 ** 20;

export const OPTIONS = {
  budgetBytes: 24 * MIB,
  packBytes: 4 * MIB,
  chunkPages: 64,
  threads: 2,
  compressionLevel: 1,
} satisfies CaptureOptions;

export interface Captured {
  packs: Map<number, Buffer>;
  /** The checksums of each pack. */
  sha256: Map<number, string>;
  xxh3: Map<number, string>;
  index: Buffer;
  totals: CaptureTotals;
}

/** Begins to capture frozen processes, without waiting: what goes wrong is told by next(). */
export function captureFrozen(
  processes: readonly CaptureProcess[],
  options: Partial<CaptureOptions> = {},
  pageScan: PageScan = 'probe',
): Capture {
  const capture = startCapture(openLedger(), { ...OPTIONS, ...options }, pageScan);
  capture
    .freeze(processes, [])
    .then(() => capture.readHeld())
    .then(() => capture.finish())
    .catch(() => {});
  return capture;
}

export async function captureAll(
  processes: readonly CaptureProcess[],
  options: Partial<CaptureOptions> = {},
  pageScan: PageScan = 'probe',
): Promise<Captured> {
  const capture = captureFrozen(processes, options, pageScan);
  try {
    const packs = new Map<number, Buffer>();
    const digests = new Map<number, string>();
    const xxh3 = new Map<number, string>();
    for (let pack = await capture.next(); pack; pack = await capture.next()) {
      packs.set(pack.number, Buffer.from(pack.body));
      digests.set(pack.number, pack.sha256);
      xxh3.set(pack.number, pack.xxh3);
      capture.recycle(pack.number);
    }
    const { body } = capture.index();
    return { packs, sha256: digests, xxh3, index: Buffer.from(body), totals: capture.totals() };
  } finally {
    capture.close();
  }
}

/** Generations of one tree: the packs of all of them, and each one's index over its own list of packs. */
export class Generations {
  readonly ledger: Ledger;
  readonly stored = new Map<number, Buffer>();

  constructor(
    method: Parameters<typeof openLedger>[0] = 'probe',
    private readonly options: Partial<CaptureOptions> = {},
  ) {
    this.ledger = openLedger(method);
  }

  /**
   * @param freeze stops the processes; its result lets them go
   * @param rounds how often to look while they run
   */
  async capture(
    processes: () => readonly CaptureProcess[],
    rounds: number,
    freeze: () => Promise<{ snapshots: readonly SnapshotPids[]; release: () => Promise<void> }>,
  ): Promise<Generation> {
    const capture = startCapture(this.ledger, { ...OPTIONS, ...this.options });
    try {
      const packs = this.takePacks(capture);
      packs.catch(() => {});
      for (let round = 0; round < rounds; round++) await capture.round(processes());
      const { snapshots, release } = await freeze();
      const counts = await capture.freeze(processes(), snapshots);
      await capture.readHeld();
      await release();
      await capture.readSnapshots();
      await capture.finish();
      await packs;
      const index = capture.index();
      return { index: Buffer.from(index.body), packs: index.packs, totals: capture.totals(), counts };
    } finally {
      capture.close();
    }
  }

  /** By the index's own numbers. */
  packsOf({ packs }: Generation): Map<number, Buffer> {
    return new Map(packs.map((number, index) => [index + 1, this.stored.get(number) ?? Buffer.alloc(0)]));
  }

  private async takePacks(capture: Capture): Promise<void> {
    for (let pack = await capture.next(); pack; pack = await capture.next()) {
      this.stored.set(pack.number, Buffer.from(pack.body));
      capture.recycle(pack.number);
    }
  }
}

export interface Generation {
  readonly index: Buffer;
  readonly packs: readonly number[];
  readonly totals: CaptureTotals;
  readonly counts: Awaited<ReturnType<Capture['freeze']>>;
}
