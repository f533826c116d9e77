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

/** Node runs longer timers at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

function after(delayMs: number, run: () => void): () => void {
  let timer: NodeJS.Timeout;
  const wait = (leftMs: number) => {
    const stepMs = Math.min(leftMs, MAX_TIMER_MS);
    timer = setTimeout(() => (leftMs > stepMs ? wait(leftMs - stepMs) : run()), stepMs);
  };
  wait(delayMs);
  return () => clearTimeout(timer);
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after,
  every: (periodMs, run) => {
    let cancel: () => void;
    const again = () => {
      cancel = after(periodMs, () => {
        again();
        run();
      });
    };
    again();
    return () => cancel();
  },
};
