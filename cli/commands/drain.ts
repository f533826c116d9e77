import type { Command } from 'commander';
import { addJson, addSocket, type JsonOption, type SocketOption, withConnection } from '../options';
import { formatCount } from '../output/format';
import { note, print, printJson } from '../output/terminal';

interface DrainOptions extends SocketOption, JsonOption {
  readonly reason?: string;
  readonly restart?: boolean;
}

const HELP = `
Nothing new is placed on the node until \`holdfast undrain\`. Each job that runs there is checkpointed; with --restart it
is then restarted on other nodes from that checkpoint, or runs on here when no other node can take it.
The ids of the checkpoints' operations are printed on stdout. Said again, it checkpoints what still runs there.

Examples:
  holdfast drain n7 --reason 'memory errors'
  holdfast drain n7 --restart

Exit codes:
  0 the checkpoints have begun; 3 no such node; 4 the caller is no operator; others: see holdfast(1), EXIT STATUS`;

async function drain(node: string, options: DrainOptions): Promise<void> {
  await withConnection(options, async (connection) => {
    const request = { node, reason: options.reason ?? '', restart: options.restart ?? false };
    const { operations } = await connection.call('drain', request);
    if (options.json) return printJson({ node, operations });
    note(`node ${node} is drained; ${formatCount(operations.length, 'checkpoint')} begun`);
    for (const id of operations) print(id);
  });
}

export function addDrain(program: Command): void {
  const command = program
    .command('drain')
    .summary('take a node out of service')
    .description('Checkpoints the jobs on a node and places nothing there any more (operators).')
    .argument('<node>', 'node name')
    .option('--reason <text>', 'why, to be shown')
    .option('--restart', 'restart its jobs on other nodes')
    .addHelpText('after', HELP);
  addSocket(addJson(command)).action(drain);
}
