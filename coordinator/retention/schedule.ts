/** When retention and sweeps run by themselves: after each commit of a job, and of everything now and then. */
import { jobIdOf, MANIFESTS_PREFIX } from '../../core/manifest';
import type { Context } from '../context';
import { isOver, type OperationRecord } from '../state/operations';
import { collect, collectAfterCommit } from './collect';

const FIRST_AFTER_MS = 60_000;

/**
 * The result ends it.
 * @param intervalMs between two sweeps of everything
 */
export function startCollecting(context: Context, intervalMs: number): () => void {
  const { clock, log, operations } = context;
  /** Jobs that had an operation at work whenever they were to be swept: it is done after their next commit. */
  const due = new Set<string>();
  let isAtWork = false;

  const afterCommit = async (record: OperationRecord) => {
    const { job, summary } = record.operation;
    if (summary !== undefined) await collectAfterCommit(context, summary, due.delete(job));
  };
  const sweepAll = async () => {
    if (isAtWork) return;
    isAtWork = true;
    try {
      for (const job of await storedJobs(context)) {
        const outcome = await collect(context, job).catch((err) => {
          log.error({ job, err }, 'garbage of a job not collected');
          return null;
        });
        if (outcome !== null && 'skipped' in outcome) due.add(job);
      }
    } finally {
      isAtWork = false;
    }
  };
  const logged = (what: string, work: Promise<void>) => {
    work.catch((err) => log.error({ err }, `${what} failed`));
  };
  const stops = [
    operations.changed.subscribe((record) => {
      const isCommitted = isOver(record) && record.operation.phase === 'DONE';
      if (isCommitted) logged('retention after a commit', afterCommit(record));
    }),
    // A coordinator that is restarted often must not never come to it.
    clock.after(Math.min(intervalMs, FIRST_AFTER_MS), () => logged('garbage collection', sweepAll())),
    clock.every(intervalMs, () => logged('garbage collection', sweepAll())),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}

/** Jobs of which the store has anything, known or not, and those that are said to store something. */
export async function storedJobs({ store, usage }: Context): Promise<string[]> {
  const found = new Set((await usage.all()).map(({ job }) => job));
  for (const prefix of [MANIFESTS_PREFIX, 'jobs/']) {
    for await (const { key } of store.list(prefix)) {
      const job = jobIdOf(key);
      if (job !== null) found.add(job);
    }
  }
  return [...found].sort();
}
