/** Time that passes when a test says so. */
import type { Clock } from '../../../../coordinator/clock';

interface Timer {
  atMs: number;
  readonly periodMs: number | null;
  readonly run: () => void;
}

export class ManualClock implements Clock {
  #nowMs = 1_000_000;
  #behindMs = 0;
  readonly #timers = new Set<Timer>();

  wallMs(): number {
    return this.#nowMs - this.#behindMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, run: () => void): () => void {
    return this.#add({ atMs: this.#nowMs + delayMs, periodMs: null, run });
  }

  every(periodMs: number, run: () => void): () => void {
    return this.#add({ atMs: this.#nowMs + periodMs, periodMs, run });
  }

  get timers(): number {
    return this.#timers.size;
  }

  #add(timer: Timer): () => void {
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Timers run at their time, in order. */
  advance(ms: number): void {
    const endMs = this.#nowMs + ms;
    for (;;) {
      const [next] = [...this.#timers].filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs);
      if (next === undefined) break;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      this.#run(next);
    }
    this.#nowMs = endMs;
  }

  /** Somebody sets the calendar: timers do not notice. */
  setBack(ms: number): void {
    this.#behindMs += ms;
  }

  /** The process did not run for a while: timers that were due run late, once. */
  stall(ms: number): void {
    this.#nowMs += ms;
    for (const timer of [...this.#timers].filter(({ atMs }) => atMs <= this.#nowMs)) this.#run(timer);
  }

  #run(timer: Timer): void {
    if (timer.periodMs === null) this.#timers.delete(timer);
    else timer.atMs = this.#nowMs + timer.periodMs;
    timer.run();
  }
}
