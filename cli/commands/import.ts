import type { Command } from 'commander';
import { HoldfastError } from '../../core/errors';
import { addJson, addSocket, type JsonOption, type SocketOption, withConnection } from '../options';
import { formatSize } from '../output/format';
import { note, print, printJson } from '../output/terminal';
import { chooseMeter } from '../output/transfer';
import { viewCheckpoint } from '../output/views';

const HELP = `
The checkpoint gets a new id, which is printed on stdout. Its job keeps its own id where nothing here has it,
and gets a new one elsewhere: nothing that exists is changed. Nothing is seen of an import before it is complete.
A user may import own checkpoints that were exported from this store; an admin may import any, and vouches for it.

Examples:
  holdfast import < job.hfx
  holdfast restart $(holdfast import < job.hfx)

Exit codes:
  0 imported; 4 you may not; 9 the store failed; 10 the stream is truncated, corrupt or of an unknown format;
  others: see holdfast(1), EXIT STATUS`;

async function* counted(
  source: AsyncIterable<Uint8Array>,
  onBytes: (doneBytes: number) => void,
): AsyncGenerator<Uint8Array> {
  let doneBytes = 0;
  for await (const chunk of source) {
    yield chunk;
    doneBytes += chunk.length;
    onBytes(doneBytes);
  }
}

async function importCheckpoint(options: SocketOption & JsonOption): Promise<void> {
  if (process.stdin.isTTY) {
    throw new HoldfastError(
      'INVALID_ARGUMENT',
      'an import is not read from a terminal',
      'redirect it: holdfast import < FILE',
    );
  }
  await withConnection(options, async (connection) => {
    const meter = chooseMeter('import', options.json ?? false);
    meter.start(0);
    const imported = await connection
      .import(counted(process.stdin, (doneBytes) => meter.update(doneBytes)))
      .finally(() => meter.stop());
    const { summary, exportedJob, exportedCkptId, totalBytes, objectCount, sealed } = imported;
    if (!summary) throw new HoldfastError('INTERNAL', 'the coordinator did not say what it imported');
    const fields = { exportedJob, exportedCkptId, totalBytes, objectCount, sealed };
    if (options.json) {
      printJson({ checkpoint: viewCheckpoint(summary), ...fields });
      return;
    }
    const { ckptId, job, generation } = summary;
    note(
      `checkpoint ${ckptId} of job ${job} (generation ${generation}) imported, ${formatSize(totalBytes)}; ` +
        `it was checkpoint ${exportedCkptId} of job ${exportedJob}`,
    );
    print(String(ckptId));
  });
}

export function addImport(program: Command): void {
  const command = program
    .command('import')
    .summary('read an exported checkpoint from a file or pipe')
    .description('Reads an exported checkpoint from stdin into the store, so that it can be restarted here.')
    .addHelpText('after', HELP);
  addSocket(addJson(command)).action(importCheckpoint);
}
