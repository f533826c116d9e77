/**
 * Which nodes have been silent for too long. The coordinator counts from the arrival of a heartbeat, the agent
 * from its sending (F2): when a lease ends here, it has ended there before.
 */
import type { Clock } from '../clock';

export interface LeaseTimes {
  readonly leaseMs: number;
  readonly heartbeatMs: number;
}

/** How long a node may take to return after the coordinator was away: it has waited between its attempts, and may be busy. */
export const returnMs = (leaseMs: number): number => 2 * leaseMs;

export class Leases {
  readonly #endsMs = new Map<string, number>();
  readonly #stop: () => void;
  #lastTickMs: number;

  constructor(
    private readonly clock: Clock,
    private readonly times: LeaseTimes,
    private readonly onEnd: (node: string) => void,
  ) {
    this.#lastTickMs = clock.monotonicMs();
    this.#stop = clock.every(this.#tickMs, () => this.#tick());
  }

  get #tickMs(): number {
    return Math.max(1, Math.floor(this.times.heartbeatMs / 2));
  }

  /** @param leaseMs other than the usual length, for a node that is still expected after a start */
  renew(node: string, leaseMs = this.times.leaseMs): void {
    this.#endsMs.set(node, this.clock.monotonicMs() + leaseMs);
  }

  drop(node: string): void {
    this.#endsMs.delete(node);
  }

  close(): void {
    this.#stop();
    this.#endsMs.clear();
  }

  #tick(): void {
    const nowMs = this.clock.monotonicMs();
    const stalledMs = nowMs - this.#lastTickMs - this.#tickMs;
    this.#lastTickMs = nowMs;
    // We were stopped ourselves: heartbeats that came meanwhile wait unread. Blame no node for our silence.
    if (stalledMs > this.times.heartbeatMs) {
      for (const [node, endMs] of this.#endsMs) this.#endsMs.set(node, endMs + stalledMs);
    }
    for (const [node, endMs] of this.#endsMs) {
      if (endMs > nowMs) continue;
      this.#endsMs.delete(node);
      this.onEnd(node);
    }
  }
}
