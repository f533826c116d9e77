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

  constructor(private readonly limit: number) {}

  /**
   * The result gives the place back, once. Who is urgent goes first, then who came first.
   * @throws HoldfastError COORDINATOR_UNAVAILABLE when it is closed
   */
  async enter(urgency: Urgency): Promise<() => void> {
    if (this.#isClosed) throw closed();
    if (urgency !== 'now' && this.#inside >= this.limit) {
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

  /** The place goes to the next one without being free in between. */
  #leave(): void {
    const isFull = this.#inside > this.limit;
    const urgent = this.#waiting.findIndex(({ urgency }) => urgency === 'high');
    const [next] = isFull ? [] : this.#waiting.splice(Math.max(0, urgent), 1);
    if (next === undefined) this.#inside--;
    else next.enter();
  }
}

function closed(): HoldfastError {
  return new HoldfastError('COORDINATOR_UNAVAILABLE', 'the coordinator is stopping');
}
