import type { Command } from 'commander';
import { addJson, addSocket, type JsonOption, type SocketOption, withConnection } from '../options';
import { describeCheckpoint } from '../output/narrator';
import { chooseDisplay } from '../output/progress';
import { note, print, printJson } from '../output/terminal';
import { viewOperation } from '../output/views';
import { LIVE_CHOICES, LIVE_FLAGS, LIVE_HELP, type LiveChoice, liveMode } from '../run/live';
import { awaitOperation, failureOf, noteFindings } from '../run/operation';
import { resolveJob } from '../run/subject';
import { parseChoice } from '../values';

interface CheckpointOptions extends SocketOption, JsonOption {
  readonly stop?: boolean;
  readonly now?: boolean;
  readonly live?: LiveChoice;
}

const HELP = `
A number is a process on this node: unless it is the root of a job already, it and its descendants become one.
The id of the committed checkpoint is printed on stdout. Ctrl-C leaves; the checkpoint goes on.

Examples:
  holdfast checkpoint 4711
  holdfast checkpoint --now JOB      # in a batch system's warning signal
  holdfast checkpoint --stop JOB && holdfast restart JOB --nodes n3

Exit codes:
  0 committed; 5 it cannot be captured; 8 a node or the coordinator is lost; 9 the store failed;
  13 aborted; others: see holdfast(1), EXIT STATUS`;

async function checkpoint(subject: string, options: CheckpointOptions): Promise<void> {
  await withConnection(options, async (connection) => {
    const job = await resolveJob(connection, subject);
    const { stop = false, now = false } = options;
    const request = { job, stop, now, live: liveMode(options.live), cause: '' };
    const { operation: id } = await connection.call('checkpoint', request);
    const display = chooseDisplay('checkpoint', options.json ?? false);
    const operation = await awaitOperation(connection, id, display);
    if (options.json) printJson({ operation: viewOperation(operation) });
    else noteFindings(operation);
    const failure = failureOf(operation);
    if (failure) throw failure;
    if (options.json) return;
    note(describeCheckpoint(operation));
    print(String(operation.ckptId));
  });
}

export function addCheckpoint(program: Command): void {
  const command = program
    .command('checkpoint')
    .summary('take a checkpoint of a job or process')
    .description(
      'Takes a checkpoint of a running job, or of a process and its descendants, and waits for it.',
    )
    .argument('<job|pid>', 'job id, or the pid of a process on this node')
    .option('--stop', 'end the job as soon as it is captured')
    .option('--now', 'do not wait while as many as may be are in flight')
    .option(LIVE_FLAGS, LIVE_HELP, parseChoice(LIVE_CHOICES))
    .addHelpText('after', HELP);
  addSocket(addJson(command)).action(checkpoint);
}
