import type { Command } from 'commander';
import { HoldfastError } from '../../core/errors';
import { addJson, addSocket, type JsonOption, type SocketOption, withConnection } from '../options';
import { formatCount, formatSize } from '../output/format';
import { note } from '../output/terminal';
import { chooseMeter } from '../output/transfer';
import { viewCheckpoint } from '../output/views';
import { parseCheckpointId } from '../values';

const HELP = `
The stream holds the memory, the environment and the files of the job: keep it as private as these.
It goes to stdout and is whole only when the exit code is 0. With --json a summary comes on stderr at the end.

Examples:
  holdfast export 17 > job.hfx
  holdfast export 17 | ssh other-cluster holdfast import

Exit codes:
  0 written; 3 no such checkpoint; 4 it belongs to another user; 9 the store failed; 10 what is stored is corrupt;
  141 the reader left; others: see holdfast(1), EXIT STATUS`;

/** Resolves when the reader has taken the bytes. */
function writeOut(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    // An error ends the program (main.ts).
    process.stdout.write(bytes, (error) => error || resolve());
  });
}

async function exportCheckpoint(ckptId: number, options: SocketOption & JsonOption): Promise<void> {
  if (process.stdout.isTTY) {
    throw new HoldfastError(
      'INVALID_ARGUMENT',
      'an export is not written to a terminal',
      `redirect it: holdfast export ${ckptId} > FILE`,
    );
  }
  await withConnection(options, async (connection) => {
    const meter = chooseMeter('export', options.json ?? false);
    let doneBytes = 0;
    let started: { summary: unknown; totalBytes: number; objectCount: number } | undefined;
    try {
      for await (const { part } of connection.export(ckptId)) {
        if (part?.$case === 'started') {
          const { summary, totalBytes, objectCount } = part.value;
          started = { summary: summary ? viewCheckpoint(summary) : null, totalBytes, objectCount };
          meter.start(totalBytes);
        } else if (part?.$case === 'data') {
          await writeOut(part.value);
          doneBytes += part.value.length;
          meter.update(doneBytes);
        }
      }
    } finally {
      meter.stop();
    }
    if (started === undefined || doneBytes !== started.totalBytes) {
      throw new HoldfastError(
        'INTERNAL',
        `the export of checkpoint ${ckptId} ended after ${doneBytes} bytes`,
      );
    }
    const { summary, ...counted } = started;
    if (options.json) process.stderr.write(`${JSON.stringify({ checkpoint: summary, ...counted })}\n`);
    else
      note(
        `checkpoint ${ckptId} exported: ${formatSize(doneBytes)}, ${formatCount(counted.objectCount, 'object')}`,
      );
  });
}

export function addExport(program: Command): void {
  const command = program
    .command('export')
    .summary('write a checkpoint to a file or pipe')
    .description('Writes a checkpoint with everything that belongs to it to stdout, as one stream.')
    .argument('<ckpt>', 'id of the checkpoint', parseCheckpointId)
    .addHelpText('after', HELP);
  addSocket(addJson(command)).action(exportCheckpoint);
}
