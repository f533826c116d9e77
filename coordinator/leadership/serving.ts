/** CoordinatorService of whatever this coordinator is at the moment of the call. */
import type { HoldfastError } from '../../core/errors';
import type { Caller } from '../api/authorize';
import type { Handlers } from '../api/handlers';
import type { Signal } from '../signal';

export interface Serving {
  readonly handlers: (caller: Caller) => Handlers;
  /** It is nothing of that kind any more: exports end with the error. A watch goes on, whoever leads. */
  readonly over: Signal<HoldfastError>;
}

export function handlersOf({ handlers, over }: Serving, caller: Caller): Handlers {
  const now = handlers(caller);
  return {
    ...now,
    export: (call) => unlessOver(over, now.export(call)),
  };
}

async function unlessOver<T>(over: Signal<HoldfastError>, work: Promise<T>): Promise<T> {
  let stop = () => {};
  const ended = new Promise<never>((_, reject) => {
    stop = over.subscribe(reject);
  });
  try {
    return await Promise.race([work, ended]);
  } finally {
    stop();
  }
}
