import type { Command } from 'commander';
import { HoldfastError, toHoldfastError } from '../../core/errors';
import { Manifest } from '../../proto/gen/holdfast/v1/manifest';
import type { Connection } from '../client/connection';
import { addJson, addSocket, type JsonOption, type SocketOption, withConnection } from '../options';
import { printCheckpoint, printJob, printNode } from '../output/details';
import { printJson } from '../output/terminal';
import { viewCheckpoint, viewJob, viewNode } from '../output/views';
import { fetchJob } from '../run/attach';
import { isNumber } from '../run/subject';

const HELP = `
A number is a checkpoint. With --json, a checkpoint's manifest is shown as it is stored.

Examples:
  holdfast info 17
  holdfast info JOB --json

Exit codes:
  0; 3 nothing has this name; others: see holdfast(1), EXIT STATUS`;

async function showCheckpoint(connection: Connection, ckptId: number, json: boolean): Promise<void> {
  const { manifest, summary } = await connection.call('getCheckpoint', { ckptId });
  if (!manifest) throw new HoldfastError('NOT_FOUND', `checkpoint ${ckptId} does not exist`);
  if (!json) {
    printCheckpoint(manifest, summary);
    return;
  }
  printJson({
    checkpoint: summary ? viewCheckpoint(summary) : null,
    manifest: Manifest.toJSON(manifest),
  });
}

/** Shows the job, or returns false when there is none of this id. */
async function showJob(connection: Connection, id: string, json: boolean): Promise<boolean> {
  try {
    const job = await fetchJob(connection, id);
    if (json) printJson({ job: viewJob(job) });
    else printJob(job);
    return true;
  } catch (thrown) {
    // A node's name need not have the form of a job's id.
    if (['NOT_FOUND', 'INVALID_ARGUMENT'].includes(toHoldfastError(thrown).code)) return false;
    throw thrown;
  }
}

async function showNode(connection: Connection, name: string, json: boolean): Promise<boolean> {
  const { nodes } = await connection.call('listNodes', {});
  const node = nodes.find((candidate) => candidate.name === name);
  if (!node) return false;
  if (json) printJson({ node: viewNode(node) });
  else printNode(node);
  return true;
}

async function info(subject: string, options: SocketOption & JsonOption): Promise<void> {
  const json = options.json ?? false;
  await withConnection(options, async (connection) => {
    if (isNumber(subject)) return showCheckpoint(connection, Number(subject), json);
    if (await showJob(connection, subject, json)) return;
    if (await showNode(connection, subject, json)) return;
    throw new HoldfastError(
      'NOT_FOUND',
      `no job or node is called ${subject}`,
      'see `holdfast jobs --all`, `holdfast nodes` and `holdfast checkpoints`',
    );
  });
}

export function addInfo(program: Command): void {
  const command = program
    .command('info')
    .summary('show everything about one checkpoint, job or node')
    .description('Shows everything that is known about one checkpoint, job or node.')
    .argument('<ckpt|job|node>', 'checkpoint id, job id or node name')
    .addHelpText('after', HELP);
  addSocket(addJson(command)).action(info);
}
