/** A typed event with subscribers; a subscriber that throws is its owner's error, not the emitter's. */
export class Signal<T> {
  readonly #subscribers = new Set<(value: T) => void>();

  /** The result ends the subscription. */
  subscribe(listener: (value: T) => void): () => void {
    this.#subscribers.add(listener);
    return () => this.#subscribers.delete(listener);
  }

  emit(value: T): void {
    // A copy: a listener may end its own or another subscription.
    for (const listener of [...this.#subscribers]) listener(value);
  }
}
