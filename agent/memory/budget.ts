/**
 * The agent's memory budget, shared by the captures that run side by side. A share is taken before anything is frozen,
 * so that a capture never waits for memory while it holds a job.
 */
import { HoldfastError } from '../../core/errors';

export interface MemoryShare {
  readonly bytes: number;
  /** Gives the share back; safe to call twice. */
  release(): void;
}

/** With less the engine would wait for the store all the time. */
export const SMALLEST_SHARE_BYTES = 64 << 20;

export class MemoryBudget {
  #freeBytes: number;
  private readonly waiting = new Set<() => void>();

  constructor(readonly totalBytes: number) {
    this.#freeBytes = totalBytes;
  }

  /** What no capture has taken. */
  get freeBytes(): number {
    return this.#freeBytes;
  }

  /**
   * All that is free but one smallest share for another capture; waits when less than that, or than asked, is left.
   * @param signal ends the wait with its reason
   * @throws LIMIT_EXCEEDED when the whole budget is less than asked
   */
  async take(signal: AbortSignal, atLeastBytes = SMALLEST_SHARE_BYTES): Promise<MemoryShare> {
    const neededBytes = Math.max(SMALLEST_SHARE_BYTES, atLeastBytes);
    if (neededBytes > this.totalBytes) {
      const problem = `the memory budget of ${this.totalBytes} bytes is too small for this job, which needs ${neededBytes}`;
      throw new HoldfastError('LIMIT_EXCEEDED', problem, 'start the agent with a larger --memory-budget');
    }
    while (this.#freeBytes < neededBytes) {
      signal.throwIfAborted();
      await this.nextChange(signal);
    }
    signal.throwIfAborted();
    const bytes = Math.max(neededBytes, this.#freeBytes - SMALLEST_SHARE_BYTES);
    this.#freeBytes -= bytes;
    let released = false;
    const release = (): void => {
      if (released) return;
      released = true;
      this.#freeBytes += bytes;
      for (const wake of [...this.waiting]) wake();
    };
    return { bytes, release };
  }

  /** Until a share was given back, or the signal came. */
  private nextChange(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.waiting.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.waiting.add(wake);
      signal.addEventListener('abort', wake, { once: true });
    });
  }
}
