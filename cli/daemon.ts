/** A part of Holdfast in the foreground: tells when it is ready, stops cleanly at SIGTERM or SIGINT. */

import { print, printJson } from './output/terminal';

export interface Daemon {
  close(): Promise<void>;
}

/** One line on stdout, for whoever waits for the start: a service manager, a test, a person. */
export function announce(
  event: 'listening' | 'ready',
  sentence: string,
  fields: object,
  json: boolean,
): void {
  if (json) printJson({ event, ...fields });
  else print(`holdfast: ${sentence}`);
}

const STOP_SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/** Resolves at the first SIGTERM or SIGINT; the next one has its usual effect and ends the process at once. */
function stopRequested(): Promise<void> {
  return new Promise((resolve) => {
    const stop = () => {
      for (const signal of STOP_SIGNALS) process.off(signal, stop);
      resolve();
    };
    for (const signal of STOP_SIGNALS) process.on(signal, stop);
  });
}

/**
 * Starts the part, waits for the request to stop and closes it.
 * A request during the start is remembered: what was started is then closed in good order.
 */
export async function runDaemon<T extends Daemon>(
  start: () => Promise<T>,
  whenStarted: (daemon: T) => void,
): Promise<void> {
  const stopped = stopRequested();
  const daemon = await start();
  whenStarted(daemon);
  await stopped;
  await daemon.close();
}
