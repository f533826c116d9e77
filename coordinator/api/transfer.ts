/** Export and Import for one caller: who may, how many at a time, and the way between stream and connection. */
import { randomUUID } from 'node:crypto';
import type { ServerReadableStream, ServerWritableStream } from '@grpc/grpc-js';
import { HoldfastError } from '../../core/errors';
import type {
  CheckpointSummary,
  ExportRequest,
  ExportResponse,
  ImportRequest,
  ImportResponse,
} from '../../proto/gen/holdfast/v1/coordinator';
import type { Context } from '../context';
import { errorOf } from '../operations/failure';
import { TIMEOUTS_MS } from '../timeouts';
import { planExport } from '../transfer/export';
import { importGeneration } from '../transfer/import';
import { sealKey } from '../transfer/sealKey';
import { followed, stepWithin } from '../transfer/source';
import { type Caller, requireCheckpoint, requirePrivilege } from './authorize';

type ExportCall = ServerWritableStream<ExportRequest, ExportResponse>;
type ImportCall = ServerReadableStream<ImportRequest, ImportResponse>;

/** Several are on their way at once; together they are what a reader that pauses leaves in memory. */
const PIECE_BYTES = 256 * 1024;
const MAX_PIECE_BYTES = 2 ** 20;

export async function exportCheckpoint(context: Context, caller: Caller, call: ExportCall): Promise<void> {
  await transfer(context, caller, call, (signal) => send(context, caller, call, signal));
  call.end();
}

export async function importCheckpoint(
  context: Context,
  caller: Caller,
  call: ImportCall,
): Promise<ImportResponse> {
  // What is imported is there to be restarted, from images that came from outside.
  requirePrivilege(caller, 'restart', context.policies().unprivilegedAllowed);
  return transfer(context, caller, call, (signal) => {
    const messages = followed(call.iterator({ destroyOnReturn: false }), limits(context, signal));
    return importGeneration(context, caller, dataOf(messages));
  });
}

const limits = ({ clock }: Context, signal: AbortSignal) => ({
  clock,
  signal,
  stallMs: TIMEOUTS_MS.transferStall,
});

/** Ends with the caller, and with the coordinator. */
async function transfer<T>(
  { running, transfers, log }: Context,
  { uid }: Caller,
  call: ExportCall | ImportCall,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const end = transfers.begin(uid);
  const gone = new AbortController();
  const left = new HoldfastError('ABORTED', 'the caller left');
  call.once('cancelled', () => gone.abort(left));
  if (call.cancelled) gone.abort(left);
  const id = randomUUID();
  running.add(id, '', (failure) => gone.abort(errorOf(failure)));
  try {
    return await work(gone.signal);
  } catch (thrown) {
    log.warn({ uid, path: call.getPath(), err: thrown }, 'transfer ended early');
    throw thrown;
  } finally {
    running.remove(id);
    end();
  }
}

async function send(context: Context, caller: Caller, call: ExportCall, signal: AbortSignal) {
  const summary = requireCheckpoint(caller, 'export', await context.catalog.get(call.request.ckptId));
  const end = context.transfers.exporting(summary.job, summary.generation);
  try {
    await sendGeneration(context, summary, call, signal);
  } finally {
    end();
  }
}

async function sendGeneration(
  context: Context,
  summary: CheckpointSummary,
  call: ExportCall,
  signal: AbortSignal,
): Promise<void> {
  const { catalog, store } = context;
  const manifest = await catalog.manifest(summary.job, summary.generation);
  const { totalBytes, objectCount, stream } = await planExport(store, manifest, await sealKey(store));
  await write(context, call, signal, { $case: 'started', value: { summary, totalBytes, objectCount } });
  for await (const bytes of stream()) {
    for (let offset = 0; offset < bytes.length; offset += PIECE_BYTES) {
      const value = bytes.subarray(offset, offset + PIECE_BYTES);
      await write(context, call, signal, { $case: 'data', value });
    }
  }
}

/** Resolves when there is room for more. */
async function write(
  context: Context,
  call: ExportCall,
  signal: AbortSignal,
  part: NonNullable<ExportResponse['part']>,
): Promise<void> {
  signal.throwIfAborted();
  if (call.write({ part })) return;
  const drained = new Promise<void>((resolve) => call.once('drain', resolve));
  await stepWithin(drained, limits(context, signal));
}

async function* dataOf(messages: AsyncIterable<ImportRequest>): AsyncGenerator<Uint8Array> {
  for await (const { data } of messages) {
    if (data.length > MAX_PIECE_BYTES) {
      const message = `a piece of ${data.length} bytes, more than ${MAX_PIECE_BYTES}`;
      throw new HoldfastError('INVALID_ARGUMENT', message, 'send the stream in smaller pieces');
    }
    yield data;
  }
}
