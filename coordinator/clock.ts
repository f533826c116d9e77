/** Time, injected: leases and schedules are tested without waiting. */
export interface Clock {
  /** Unix time, for people and records. */
  wallMs(): number;
  /** Never jumps, for leases and timeouts. */
  monotonicMs(): number;
  /** Calls once after a while; the result cancels. */
  after(delayMs: number, run: () => void): () => void;
  /** Calls again and again; the result cancels. */
  every(periodMs: number, run: () => void): () => void;
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: (delayMs, run) => {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
  every: (periodMs, run) => {
    const timer = setInterval(run, periodMs);
    return () => clearInterval(timer);
  },
};
