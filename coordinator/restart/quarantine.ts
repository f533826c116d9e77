/**
 * Generations that failed to restart are put aside, so that the next older one is tried. What is noted of one is never written
 * over a removal or a pin of the same moment.
 */
import { toHoldfastError } from '../../core/errors';
import { jobDataPrefix } from '../../core/manifest';
import { objectsOf } from '../../core/manifest-objects';
import type { Context } from '../context';
import type { Failure } from '../operations/failure';
import { isOfObjects, judge } from './generations';
import { saveVerdict } from './verdicts';

/** It can be restarted after all: whatever was held against it is forgotten. */
export async function noteGoodRestart(
  { catalog, decisions, log, removals, store }: Context,
  job: string,
  generation: number,
): Promise<void> {
  try {
    await removals.run(job, async () => {
      const summary = (await catalog.list(job)).find((known) => known.generation === generation);
      if (summary === undefined || summary.failedRestarts === 0) return;
      const good = { ...summary, failedRestarts: 0, quarantine: '' };
      await saveVerdict(store, good);
      await catalog.add(good);
      if (summary.quarantine !== '')
        decisions.note(job, 'quarantine', `generation ${generation} is good again: it was restarted`);
    });
  } catch (err) {
    // The job runs: that matters more.
    log.warn({ job, generation, err }, 'a good restart was not noted');
  }
}

/** What a node has said of the generation, held against what the store says of it. */
export async function noteFailedNode(
  context: Context,
  job: string,
  generation: number,
  failure: Pick<Failure, 'code' | 'message'>,
): Promise<void> {
  const isWhole = isOfObjects(failure.code) && (await hasAllObjects(context, job, generation));
  await noteFailedRestart(context, job, generation, failure, isWhole);
}

async function hasAllObjects({ catalog, store }: Context, job: string, generation: number): Promise<boolean> {
  try {
    const { nodes } = await catalog.manifest(job, generation);
    const objects = nodes.flatMap(({ trees }) => trees).flatMap(objectsOf);
    const missing = new Map(objects.map(({ key, sizeBytes }) => [key, sizeBytes]));
    for await (const { key, sizeBytes } of store.list(jobDataPrefix(job)))
      if (missing.get(key) === sizeBytes) missing.delete(key);
    return missing.size === 0;
  } catch (thrown) {
    // Without an answer nothing is proven.
    const { code } = toHoldfastError(thrown);
    return code === 'STORE_UNAVAILABLE' || code === 'STORE_REFUSED';
  }
}

/**
 * Whether the generation is in quarantine from now on.
 * @param isWhole the coordinator finds all of its objects
 */
export async function noteFailedRestart(
  { catalog, decisions, log, removals, store }: Context,
  job: string,
  generation: number,
  failure: Pick<Failure, 'code' | 'message'>,
  isWhole: boolean,
): Promise<boolean> {
  return removals.run(job, async () => {
    const summary = (await catalog.list(job)).find((known) => known.generation === generation);
    // Of one that the catalog does not know nothing can be kept.
    const verdict = summary === undefined ? null : judge(summary, failure, isWhole);
    if (summary === undefined || verdict === null) return false;
    const judged = { ...summary, ...verdict };
    // The verdict holds without it, until Redis is lost: a store that does not answer must not decide what is restarted next.
    await saveVerdict(store, judged).catch((err) =>
      log.warn({ job, generation, err }, 'a verdict was not stored'),
    );
    await catalog.add(judged);
    if (verdict.quarantine === '') return false;
    decisions.note(
      job,
      'quarantine',
      `generation ${generation} (checkpoint ${summary.ckptId}): ${verdict.quarantine}`,
    );
    return true;
  });
}
