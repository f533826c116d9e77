/** Forwards this process's signals to a job, also those that come before its id is known. */

import { toHoldfastError } from '../../core/errors';
import type { Connection } from '../client/connection';
import type { Reporter } from './reporter';
import { forwardSignals } from './signals';

export interface JobSignals {
  /** The job is known now: signals that came earlier are sent to it. */
  setJob(id: string): void;
  stop(): void;
}

export function forwardToJob(connection: Connection, reporter: Reporter): JobSignals {
  let known: (id: string) => void = () => undefined;
  const job = new Promise<string>((resolve) => {
    known = resolve;
  });
  const stop = forwardSignals({
    kill: async (signal) => {
      const id = await job;
      reporter.note(`sending signal ${signal} to job ${id}`);
      await connection.call('killJob', { job: id, signal }).catch((thrown) => {
        const { message } = toHoldfastError(thrown);
        reporter.note(`job ${id} could not be signalled: ${message}`);
      });
    },
    giveUp: (signal) => {
      reporter.note('leaving; the job may still run, see `holdfast jobs`');
      process.exit(128 + signal);
    },
  });
  return { setJob: known, stop };
}
