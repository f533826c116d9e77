/** What a person or a batch system does to the command is meant for the job. */

import { constants } from 'node:os';

export interface SignalActions {
  /** Sends a signal to the job. */
  kill(signal: number): void;
  /** The third request: leave the job alone and go. */
  giveUp(signal: number): void;
}

const FORWARDED = ['SIGINT', 'SIGTERM'] as const;

/** First request: the signal itself; second: SIGKILL; third: give up. Returns a function that stops this. */
export function forwardSignals(actions: SignalActions): () => void {
  let requests = 0;
  const handlers = FORWARDED.map((name) => {
    const handler = () => {
      requests += 1;
      if (requests === 1) actions.kill(constants.signals[name]);
      else if (requests === 2) actions.kill(constants.signals.SIGKILL);
      else actions.giveUp(constants.signals[name]);
    };
    process.on(name, handler);
    return { name, handler };
  });
  return () => {
    for (const { name, handler } of handlers) process.off(name, handler);
  };
}
