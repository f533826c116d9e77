/**
 * What Slurm is about to do with the job: its end moves, or it is to make room for another one. Asked now and then, and
 * when a signal comes.
 */
import { constants } from 'node:os';
import { toHoldfastError } from '../../core/errors';
import { type SlurmJobState, slurmJobState } from '../../core/slurm/scontrol';
import { LiveMode } from '../../proto/gen/holdfast/v1/manifest';
import type { Connection } from '../client/connection';
import type { Reporter } from '../run/reporter';
import { forwardSignals } from '../run/signals';
import type { SlurmEnvironment } from './environment';

const LOOK_MS = 10_000;

export interface StopWatch {
  /** The job runs. */
  begin(job: string): void;
  /** A task of it was sent a signal by Slurm. */
  signalled(signal: number): void;
  end(): void;
}

export function watchStops(
  connection: Connection,
  { jobId, restartCount }: SlurmEnvironment,
  slurmEndMs: number,
  reporter: Reporter,
): StopWatch {
  let knownEndMs = slurmEndMs;
  let isStopping = false;
  let isOver = false;
  let begun: (job: string) => void = () => undefined;
  const job = new Promise<string>((resolve) => {
    begun = resolve;
  });
  const attempt = async (what: string, work: () => Promise<unknown>): Promise<void> => {
    await work().catch((thrown) => reporter.note(`${what}: ${toHoldfastError(thrown).message}`));
  };
  const stop = async (id: string): Promise<void> => {
    if (isStopping) return;
    isStopping = true;
    reporter.note(`Slurm job ${jobId} is to make room for another: job ${id} is stopped at a checkpoint`);
    const request = { job: id, stop: true, now: true, cause: 'preempt', live: LiveMode.AUTO };
    await attempt('no checkpoint', () => connection.call('checkpoint', request));
  };
  const heed = async (id: string, { endMs, isPreempted }: SlurmJobState): Promise<void> => {
    if (isPreempted) return stop(id);
    if (endMs === 0 || endMs === knownEndMs || isStopping) return;
    knownEndMs = endMs;
    await attempt('the new time limit is not heeded', () =>
      connection.call('changeDeadline', { job: id, deadlineMs: endMs }),
    );
  };
  const look = async (): Promise<void> => {
    const id = await job;
    // Slurm that does not answer now will later.
    const state = await slurmJobState(jobId).catch(() => null);
    if (state !== null) await heed(id, state);
  };
  const kill = async (signal: number): Promise<void> => {
    const id = await job;
    reporter.note(`sending signal ${signal} to job ${id}`);
    await attempt('not signalled', () => connection.call('killJob', { job: id, signal }));
  };
  const onSignal = async (signal: number): Promise<void> => {
    if (isOver) return;
    const state = signal === constants.signals.SIGTERM ? await slurmJobState(jobId).catch(() => null) : null;
    // Of a requeue that is under way: Slurm ends all of it, and the next run goes on.
    if (state !== null && state.restarts > restartCount) return;
    if (state?.isPreempted) await stop(await job);
    else await kill(signal);
  };
  const stopForwarding = forwardSignals({
    kill: (signal) => void onSignal(signal),
    giveUp: (signal) => process.exit(128 + signal),
  });
  const timer = setInterval(() => void look(), LOOK_MS);
  return {
    begin: begun,
    signalled: (signal) => void onSignal(signal),
    end: () => {
      isOver = true;
      clearInterval(timer);
      stopForwarding();
    },
  };
}
