/** Events of one operation, handled one after the other in the order they came. */
export class Mailbox<T> {
  readonly #events: T[] = [];
  #wake: (() => void) | null = null;

  post(event: T): void {
    this.#events.push(event);
    this.#wake?.();
  }

  async next(): Promise<T> {
    for (;;) {
      const event = this.#events.shift();
      if (event !== undefined) return event;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}
