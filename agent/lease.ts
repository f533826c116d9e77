/**
 * The lease of this node with the coordinator (invariant F2): it runs from when the renewing heartbeat was sent, and
 * every held tree's watchdog is told what is left of it.
 */
import { HoldfastError } from '../core/errors';
import type { Hold } from './criu/hold';

export interface Clock {
  /** Milliseconds that only go forward. */
  nowMs(): number;
}

export const monotonicClock: Clock = { nowMs: () => performance.now() };

/** What reading takes that has waited. */
const UNREAD_MS = 50;

export class Lease {
  private endsMs = 0;
  private readonly holds = new Set<Hold>();
  private timer: NodeJS.Timeout | null = null;

  /** @param onEnd called when the lease has ended, once until it is renewed */
  constructor(
    private readonly onEnd: () => void,
    private readonly clock: Clock = monotonicClock,
  ) {}

  /** An acknowledged heartbeat that was sent at `sentMs`. */
  renew(sentMs: number, leaseMs: number): void {
    this.endsMs = Math.max(this.endsMs, sentMs + leaseMs);
    for (const hold of this.holds) hold.renew(this.remainingMs());
    this.timer ??= setTimeout(() => this.onTimer(), this.remainingMs()).unref();
  }

  close(): void {
    if (this.timer) clearTimeout(this.timer);
  }

  /** What is left for a new hold. @throws HOLD_LOST when there is no lease to hold anything under */
  requireMs(): number {
    const remainingMs = this.remainingMs();
    if (remainingMs > 0) return remainingMs;
    throw new HoldfastError('HOLD_LOST', 'this node has no lease: the coordinator does not answer');
  }

  remainingMs(): number {
    return Math.max(0, Math.floor(this.endsMs - this.clock.nowMs()));
  }

  /**
   * This process may have stood still: an acknowledgement that has arrived meanwhile is read before the lease counts as over.
   * Watchdogs count by themselves.
   */
  private onTimer(): void {
    const remainingMs = this.remainingMs();
    this.timer =
      remainingMs > 0
        ? setTimeout(() => this.onTimer(), remainingMs).unref()
        : setTimeout(() => this.endUnlessRenewed(), UNREAD_MS).unref();
  }

  private endUnlessRenewed(): void {
    if (this.remainingMs() > 0) {
      this.onTimer();
      return;
    }
    this.timer = null;
    this.onEnd();
  }

  attach(hold: Hold): void {
    this.holds.add(hold);
  }

  detach(hold: Hold): void {
    this.holds.delete(hold);
  }
}
