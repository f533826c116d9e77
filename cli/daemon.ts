/** A part of Holdfast in the foreground: tells when it is ready, stops cleanly at SIGTERM or SIGINT. */

import { print, printJson } from './output/terminal';

export interface Daemon<Configuration = never> {
  close(): Promise<void>;
  /** Takes over what may change while it runs. */
  reload?(next: Configuration): void;
  /** Says that a configuration cannot be used: it goes on with the one it has. */
  refuse?(error: unknown): void;
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
 * @param read the configuration as it is now: SIGHUP asks for it
 */
export async function runDaemon<C, T extends Daemon<C>>(
  start: () => Promise<T>,
  whenStarted: (daemon: T) => void,
  read?: () => C,
): Promise<void> {
  const stopped = stopRequested();
  let started: T | null = null;
  const reload = () => {
    try {
      if (read !== undefined) started?.reload?.(read());
    } catch (thrown) {
      started?.refuse?.(thrown);
    }
  };
  if (read !== undefined) process.on('SIGHUP', reload);
  const daemon = await start();
  started = daemon;
  whenStarted(daemon);
  await stopped;
  process.off('SIGHUP', reload);
  await daemon.close();
}
