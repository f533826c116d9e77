/** The end of an import: committed and in the catalog, or nothing of it left. */
import { decodeManifest, manifestKey } from '../../core/manifest';
import type { CheckpointSummary } from '../../proto/gen/holdfast/v1/coordinator';
import { jobFrom, raiseCounters, summaryOf, withGeneration } from '../catalog/rebuild';
import { commitManifest } from '../checkpoint/commit';
import { deleteAll } from '../checkpoint/discard';
import type { Context } from '../context';
import { errorOf } from '../operations/failure';
import { TIMEOUTS_MS } from '../timeouts';
import { dropImport, type ImportRecord, openImports, putImport } from './records';

/**
 * Everything is durable, and so is the record with its manifest.
 * @param signal the coordinator stops: its next start resolves what is unknown until then
 * @throws HoldfastError when it is not committed
 */
export async function settleImport(
  context: Context,
  prefix: string,
  record: ImportRecord,
  signal: AbortSignal,
  onCommitted: () => void = () => undefined,
): Promise<CheckpointSummary> {
  for (;;) {
    const { outcome, failure } = await commitManifest(context.store, record, record.manifest ?? '');
    if (outcome === 'ours') {
      onCommitted();
      return conclude(context, prefix, record);
    }
    if (failure !== null) context.log.warn({ prefix, outcome, ...failure }, 'import not committed');
    if (outcome !== 'unknown') {
      // Nobody may commit it after its objects are gone.
      const undone = { ...record, manifest: null };
      await putImport(context, prefix, undone);
      await discardImport(context, prefix);
      throw errorOf(failure ?? { code: 'ABORTED', message: `${prefix} was not committed`, remedy: '' });
    }
    signal.throwIfAborted();
    await new Promise<void>((resolve) => context.clock.after(TIMEOUTS_MS.commitRetry, resolve));
    signal.throwIfAborted();
  }
}

async function conclude(context: Context, prefix: string, record: ImportRecord): Promise<CheckpointSummary> {
  const { catalog, counters, jobs, log } = context;
  const key = manifestKey(record.job, record.generation);
  const manifest = decodeManifest(Buffer.from(record.manifest ?? ''), key);
  const summary = summaryOf(manifest);
  await raiseCounters(counters, manifest, record.job);
  await catalog.add(summary);
  if (jobs.find(record.job) === undefined) {
    const job = jobFrom(manifest, record.job, `imported from ${record.origin}`);
    await jobs.put(withGeneration(job, manifest, true));
  }
  await dropImport(context, prefix);
  log.info({ job: record.job, ckptId: summary.ckptId, origin: record.origin }, 'checkpoint imported');
  return summary;
}

/** What cannot be removed now goes at the next start. */
export async function discardImport(context: Context, prefix: string): Promise<void> {
  try {
    await deleteAll(context.store, `${prefix}/`);
    await dropImport(context, prefix);
  } catch (thrown) {
    context.log.warn({ prefix, err: thrown }, 'objects of an interrupted import stay for now');
  }
}

/** At start: what imports left that this coordinator's predecessor did not end. Their jobs' ids are taken at once. */
export async function recoverImports(context: Context): Promise<() => Promise<void>> {
  const found = await openImports(context);
  for (const [, { job }] of found) context.transfers.reserve(job);
  return async () => {
    for (const [prefix, record] of found) {
      context.log.warn({ prefix }, 'resolving an import of before the start');
      await resolve(context, prefix, record);
      context.transfers.release(record.job);
    }
  };
}

async function resolve(context: Context, prefix: string, record: ImportRecord): Promise<void> {
  if (record.manifest === null) return discardImport(context, prefix);
  const stopping = new AbortController();
  context.running.add(prefix, record.job, (failure) => stopping.abort(errorOf(failure)));
  try {
    await settleImport(context, prefix, record, stopping.signal);
  } catch (thrown) {
    context.log.warn({ prefix, err: thrown }, 'an import of before the start is not committed');
  } finally {
    context.running.remove(prefix);
  }
}
