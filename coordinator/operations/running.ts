/** The operations at work right now, and the way to stop one. */
import { Signal } from '../signal';
import type { Failure } from './failure';

export class RunningOperations {
  /** The last one ended. */
  readonly quiet = new Signal<void>();
  /** Everything was asked to stop: what begins after that is asked at once. */
  #stopping: Failure | null = null;
  readonly #aborts = new Map<string, { job: string; abort: (failure: Failure) => void }>();

  add(id: string, job: string, abort: (failure: Failure) => void): void {
    this.#aborts.set(id, { job, abort });
    if (this.#stopping !== null) abort(this.#stopping);
  }

  get isEmpty(): boolean {
    return this.#aborts.size === 0;
  }

  remove(id: string): void {
    this.#aborts.delete(id);
    if (this.isEmpty) this.quiet.emit();
  }

  /** Asks; an operation past its point of no return goes on to its end. */
  abortAllOf(job: string, failure: Failure): void {
    for (const running of this.#aborts.values()) if (running.job === job) running.abort(failure);
  }

  /** For good. */
  abortAll(failure: Failure): void {
    this.#stopping = failure;
    for (const running of this.#aborts.values()) running.abort(failure);
  }
}
