/** How much of the network checkpoints may take on this node: packs wait until their bytes are due. */

export class UploadLimit {
  private freeAtMs = 0;

  /** @param bytesPerS undefined: no limit */
  constructor(
    private bytesPerS: number | undefined,
    private readonly nowMs: () => number = () => performance.now(),
  ) {}

  /** From now on; what waits already, waits as long as it was told. */
  change(bytesPerS: number | undefined): void {
    this.bytesPerS = bytesPerS;
  }

  /** Takes the bytes' share of the time; returns how long to wait before they are sent. */
  take(bytes: number): number {
    if (this.bytesPerS === undefined) return 0;
    const nowMs = this.nowMs();
    const startMs = Math.max(nowMs, this.freeAtMs);
    this.freeAtMs = startMs + (bytes * 1000) / this.bytesPerS;
    return startMs - nowMs;
  }
}
