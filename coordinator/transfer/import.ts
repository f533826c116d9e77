/** One generation from a stream into the store: committed as a whole at its end, or never seen (C1). */
import { HoldfastError } from '../../core/errors';
import { faultPoint } from '../../core/faults';
import { newJobId } from '../../core/ids';
import { encodeManifest, generationPrefix, jobManifestsPrefix } from '../../core/manifest';
import type { ImportResponse } from '../../proto/gen/holdfast/v1/coordinator';
import type { ManifestHeader } from '../../proto/gen/holdfast/v1/manifest';
import type { ObjectStore } from '../../store/contract';
import { type Caller, hasRole, RULES } from '../api/authorize';
import type { Context } from '../context';
import { errorOf } from '../operations/failure';
import { requireRoom } from '../retention/quota';
import { type Arrived, readManifest, storeObjects } from './arrival';
import { type ImportRecord, putImport } from './records';
import { type Place, rekey } from './rekey';
import { SectionReader } from './sections';
import { discardImport, settleImport } from './settle';

/** @throws HoldfastError; then nothing of the stream is left, or the coordinator takes it away later */
export async function importGeneration(
  context: Context,
  caller: Caller,
  source: AsyncIterable<Uint8Array>,
): Promise<ImportResponse> {
  const reader = new SectionReader(source);
  const arrived = await readManifest(context.store, reader);
  const header = requireImporter(caller, arrived);
  await requireRoom(context, header.spec ?? { uid: 0, account: '' });
  const job = await takeJobId(context, header.job);
  try {
    const place = await takePlace(context, job, header);
    const { record, prefix } = await receive(context, reader, arrived, place);
    const summary = await commit(context, prefix, record);
    return {
      summary,
      exportedJob: header.job,
      exportedCkptId: header.ckptId,
      totalBytes: reader.totalBytes,
      objectCount: arrived.objects.length,
      sealed: arrived.sealed,
    };
  } finally {
    context.transfers.release(job);
  }
}

/**
 * A restart runs, as root at first, what the images say. So a user may bring back only what this store has once given
 * out, unchanged, and that is his own; for anything else an admin vouches.
 */
function requireImporter(caller: Caller, { manifest, sealed }: Arrived): ManifestHeader {
  const { header, nodes } = manifest;
  if (header === undefined) throw new HoldfastError('CORRUPT', 'the exported stream has no header');
  if (hasRole(caller, RULES.import.others)) return header;
  const uids = [header.spec?.uid ?? 0, ...nodes.flatMap(({ trees }) => trees.map(({ uid }) => uid))];
  const other = uids.find((uid) => uid !== caller.uid);
  if (other !== undefined) {
    const message = `the exported checkpoint belongs to uid ${other}; the caller is uid ${caller.uid}`;
    throw new HoldfastError('PERMISSION_DENIED', message, 'ask its owner or an admin to import it');
  }
  if (!sealed) {
    const message = 'the stream was not exported from this store: nobody vouches for what it would run';
    throw new HoldfastError('PERMISSION_DENIED', message, 'ask an admin to import it');
  }
  return header;
}

/** The job's own id where nothing has it: its processes know it. Else a new one: nothing is ever added to a job. */
async function takeJobId(context: Context, wanted: string): Promise<string> {
  const { clock, jobs, store, transfers } = context;
  if (transfers.reserve(wanted)) {
    try {
      if (jobs.find(wanted) === undefined && (await isUnused(store, wanted))) return wanted;
    } catch (thrown) {
      transfers.release(wanted);
      throw thrown;
    }
    transfers.release(wanted);
  }
  for (;;) {
    const id = newJobId(clock.wallMs());
    if (jobs.find(id) === undefined && transfers.reserve(id)) return id;
  }
}

async function isUnused(store: ObjectStore, job: string): Promise<boolean> {
  for (const prefix of [jobManifestsPrefix(job), `jobs/${job}/`]) {
    for await (const _ of store.list(prefix)) return false;
  }
  return true;
}

async function takePlace({ counters }: Context, job: string, header: ManifestHeader): Promise<Place> {
  await counters.raiseEpoch(job, header.epoch + 1);
  return {
    job,
    generation: header.generation,
    epoch: await counters.nextEpoch(job),
    ckptId: await counters.nextCheckpointId(),
  };
}

interface Received {
  readonly prefix: string;
  readonly record: ImportRecord;
}

async function receive(
  context: Context,
  reader: SectionReader,
  arrived: Arrived,
  place: Place,
): Promise<Received> {
  const { job, generation, epoch } = place;
  const prefix = generationPrefix(job, generation, epoch);
  const { header } = arrived.manifest;
  const origin = `checkpoint ${header?.ckptId} of job ${header?.job}`;
  const record = { job, generation, epoch, origin, manifest: null };
  const { manifest, keys } = rekey(arrived.manifest, place);
  try {
    await putImport(context, prefix, record);
    faultPoint('coordinator.import.recorded');
    await storeObjects(context.store, reader, arrived, keys);
    faultPoint('coordinator.import.stored');
    return { prefix, record: { ...record, manifest: encodeManifest(manifest).toString('utf8') } };
  } catch (thrown) {
    await discardImport(context, prefix);
    throw thrown;
  }
}

/** The caller may leave: it goes on to its end. */
async function commit(context: Context, prefix: string, record: ImportRecord) {
  const stopping = new AbortController();
  context.running.add(prefix, record.job, (failure) => stopping.abort(errorOf(failure)));
  try {
    // When this fails nobody knows which record is there: both are resolved at the next start.
    await putImport(context, prefix, record);
    faultPoint('coordinator.import.before-commit');
    return await settleImport(context, prefix, record, stopping.signal, () =>
      faultPoint('coordinator.import.after-commit'),
    );
  } finally {
    context.running.remove(prefix);
  }
}
