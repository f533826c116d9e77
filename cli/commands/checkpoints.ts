import type { Command } from 'commander';
import type { CheckpointSummary } from '../../proto/gen/holdfast/v1/coordinator';
import { addJson, addSocket, type JsonOption, type SocketOption, withConnection } from '../options';
import { ellipsize, formatAge, formatDuration, formatSize } from '../output/format';
import { type Column, printTable } from '../output/table';
import { printJson } from '../output/terminal';
import { viewCheckpoint } from '../output/views';
import { parseCheckpointId } from '../values';

const HELP = `
HELD is the longest time that one of the nodes was frozen; TOOK is from the request to the commit.

Examples:
  holdfast checkpoints JOB
  holdfast checkpoints pin 17
  holdfast restart $(holdfast checkpoints JOB --json | jq '[.checkpoints[].ckptId] | max')

Exit codes:
  0; 3 no such job or checkpoint; 5 it must stay; others as in holdfast(1), EXIT STATUS`;

function columns(nowMs: number): Column<CheckpointSummary>[] {
  return [
    { title: 'CKPT', cell: (checkpoint) => checkpoint.ckptId, align: 'right' },
    { title: 'JOB', cell: (checkpoint) => checkpoint.job },
    { title: 'GEN', cell: (checkpoint) => checkpoint.generation, align: 'right' },
    { title: 'AGE', cell: (checkpoint) => formatAge(checkpoint.createdMs, nowMs), align: 'right' },
    { title: 'NODES', cell: (checkpoint) => ellipsize(checkpoint.nodes.join(','), 30) },
    { title: 'TASKS', cell: (checkpoint) => checkpoint.taskCount, align: 'right' },
    { title: 'CAPTURED', cell: (checkpoint) => formatSize(checkpoint.capturedBytes), align: 'right' },
    { title: 'UPLOADED', cell: (checkpoint) => formatSize(checkpoint.uploadedBytes), align: 'right' },
    { title: 'HELD', cell: (checkpoint) => formatDuration(checkpoint.heldMs), align: 'right' },
    { title: 'STATE', cell: ({ quarantine }) => (quarantine === '' ? 'good' : 'QUARANTINE') },
    { title: 'TOOK', cell: (checkpoint) => formatDuration(checkpoint.durationMs), align: 'right' },
    { title: 'PINNED', cell: (checkpoint) => (checkpoint.pinned ? 'pinned' : '') },
  ];
}

async function checkpoints(job: string | undefined, options: SocketOption & JsonOption): Promise<void> {
  await withConnection(options, async (connection) => {
    const response = await connection.call('listCheckpoints', { job: job ?? '' });
    if (options.json) printJson({ checkpoints: response.checkpoints.map(viewCheckpoint) });
    else printTable(columns(Date.now()), response.checkpoints, 'no checkpoints');
  });
}

async function setPinned(ckptId: number, pinned: boolean, options: SocketOption & JsonOption): Promise<void> {
  await withConnection(options, async (connection) => {
    const { summary } = await connection.call('pinCheckpoint', { ckptId, pinned });
    if (options.json) printJson({ checkpoint: summary ? viewCheckpoint(summary) : null });
  });
}

async function remove(ckptId: number, options: SocketOption & JsonOption): Promise<void> {
  await withConnection(options, async (connection) => {
    await connection.call('removeCheckpoint', { ckptId });
    if (options.json) printJson({ ckptId });
  });
}

export function addCheckpoints(program: Command): void {
  const command = program
    .command('checkpoints')
    .summary('list checkpoints')
    .description('Lists the committed checkpoints of one job, or of all your jobs.')
    .argument('[job]', 'job id')
    .addHelpText('after', HELP);
  addSocket(addJson(command)).action(checkpoints);
  addPin(command, 'pin', true, 'keep a checkpoint whatever the policy says');
  addPin(command, 'unpin', false, 'leave a checkpoint to the policy again');
  const removeCommand = command
    .command('remove')
    .summary('remove a checkpoint')
    .description(
      'Removes a checkpoint, unless it is pinned or a job that may run needs it. Its space comes back later.',
    )
    .argument('<ckpt>', 'checkpoint id', parseCheckpointId)
    .addHelpText('after', HELP);
  addSocket(addJson(removeCommand)).action(remove);
}

function addPin(parent: Command, name: string, pinned: boolean, summary: string): void {
  const command = parent
    .command(name)
    .summary(summary)
    .description(`${pinned ? 'Keeps' : 'Leaves'} ${summary.slice(summary.indexOf(' ') + 1)}.`)
    .argument('<ckpt>', 'checkpoint id', parseCheckpointId)
    .addHelpText('after', HELP);
  addSocket(addJson(command)).action((ckptId: number, options: SocketOption & JsonOption) =>
    setPinned(ckptId, pinned, options),
  );
}
