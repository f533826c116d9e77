/** An observer must not change what it observes: what it throws goes into the log and no further. */
import type { Logger } from '../../core/log';
import type { Signal } from '../signal';

/** The result ends it. */
export function observe<T>(signal: Signal<T>, log: Logger, listener: (value: T) => void): () => void {
  return signal.subscribe((value) => {
    try {
      listener(value);
    } catch (err) {
      log.warn({ err }, 'an observer failed');
    }
  });
}
