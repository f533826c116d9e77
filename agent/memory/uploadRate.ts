/** How fast this node stores packs: bytes per second of the time in which any was on its way. */

/** What is older than this much busy time counts half. */
const HALF_LIFE_MS = 5_000;

export class UploadRate {
  private bytes = 0;
  private busyMs = 0;
  private inFlight = 0;
  private sinceMs = 0;

  constructor(private readonly nowMs: () => number = () => performance.now()) {}

  /** An upload starts. */
  begin(): void {
    this.advance();
    this.inFlight++;
  }

  /** One that began has ended, with so many bytes stored. */
  end(bytes: number): void {
    this.advance();
    this.inFlight--;
    this.bytes += bytes;
  }

  /** 0 until something was stored. */
  get bytesPerS(): number {
    return this.busyMs > 0 ? (this.bytes * 1000) / this.busyMs : 0;
  }

  private advance(): void {
    const now = this.nowMs();
    const elapsedMs = now - this.sinceMs;
    this.sinceMs = now;
    if (this.inFlight === 0) return;
    const kept = 0.5 ** (elapsedMs / HALF_LIFE_MS);
    this.bytes *= kept;
    this.busyMs = this.busyMs * kept + elapsedMs;
  }
}
