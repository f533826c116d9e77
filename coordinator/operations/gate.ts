/** How many checkpoints are at work at the same time: store and network are shared by all. */
import { HoldfastError } from '../../core/errors';
import type { Urgency } from '../state/operations';

interface Waiting {
  readonly urgency: Urgency;
  readonly enter: () => void;
  readonly refuse: (error: HoldfastError) => void;
}

export class Gate {
  #inside = 0;
  #isClosed = false;
  readonly #waiting: Waiting[] = [];

  /** @param limit as of now */
  constructor(private readonly limit: () => number) {}

  /** Of those that were let in, how many are at work. */
  get inside(): number {
    return this.#inside;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * The result gives the place back, once. Who is urgent goes first, then who came first.
   * @throws HoldfastError COORDINATOR_UNAVAILABLE when it is closed
   */
  async enter(urgency: Urgency): Promise<() => void> {
    if (this.#isClosed) throw closed();
    if (urgency !== 'now' && this.#inside >= this.limit()) {
      await new Promise<void>((enter, refuse) => this.#waiting.push({ urgency, enter, refuse }));
    } else this.#inside++;
    let isInside = true;
    return () => {
      if (isInside) this.#leave();
      isInside = false;
    };
  }

  /** For good: who waits is sent away. */
  close(): void {
    this.#isClosed = true;
    for (const { refuse } of this.#waiting.splice(0)) refuse(closed());
  }

  /** As many as there are places; they are more than before when the limit was raised. */
  admit(): void {
    while (this.#waiting.length > 0 && this.#inside < this.limit()) {
      const urgent = this.#waiting.findIndex(({ urgency }) => urgency === 'high');
      const [next] = this.#waiting.splice(Math.max(0, urgent), 1);
      this.#inside++;
      next?.enter();
    }
  }

  #leave(): void {
    this.#inside--;
    this.admit();
  }
}

function closed(): HoldfastError {
  return new HoldfastError('COORDINATOR_UNAVAILABLE', 'the coordinator is stopping');
}
