/**
 * Generations that failed to restart are put aside, so that the next older one is tried. What is noted of one is never written
 * over a removal or a pin of the same moment.
 */
import type { Context } from '../context';
import type { Failure } from '../operations/failure';
import { judge } from './generations';

/** It can be restarted after all: whatever was held against it is forgotten. */
export async function noteGoodRestart(
  { catalog, decisions, log, removals }: Context,
  job: string,
  generation: number,
): Promise<void> {
  try {
    await removals.run(job, async () => {
      const summary = (await catalog.list(job)).find((known) => known.generation === generation);
      if (summary === undefined || summary.failedRestarts === 0) return;
      await catalog.add({ ...summary, failedRestarts: 0, quarantine: '' });
      if (summary.quarantine !== '')
        decisions.note(job, 'quarantine', `generation ${generation} is good again: it was restarted`);
    });
  } catch (err) {
    // The job runs: that matters more.
    log.warn({ job, generation, err }, 'a good restart was not noted');
  }
}

/** Whether the generation is in quarantine from now on. */
export async function noteFailedRestart(
  { catalog, decisions, removals }: Context,
  job: string,
  generation: number,
  failure: Pick<Failure, 'code' | 'message'>,
): Promise<boolean> {
  return removals.run(job, async () => {
    const summary = (await catalog.list(job)).find((known) => known.generation === generation);
    // Of one that the catalog does not know nothing can be kept.
    const verdict = summary === undefined ? null : judge(summary, failure);
    if (summary === undefined || verdict === null) return false;
    await catalog.add({ ...summary, ...verdict });
    if (verdict.quarantine === '') return false;
    decisions.note(
      job,
      'quarantine',
      `generation ${generation} (checkpoint ${summary.ckptId}): ${verdict.quarantine}`,
    );
    return true;
  });
}
