import type { Command } from 'commander';
import { addJson, addSocket, type JsonOption, type SocketOption, withConnection } from '../options';
import { printJson } from '../output/terminal';

const HELP = `
Examples:
  holdfast undrain n7

Exit codes:
  0 jobs may be placed there again; 3 no such node; 4 the caller is no operator; others: see holdfast(1), EXIT STATUS`;

async function undrain(node: string, options: SocketOption & JsonOption): Promise<void> {
  await withConnection(options, async (connection) => {
    await connection.call('undrain', { node });
    if (options.json) printJson({ node });
  });
}

export function addUndrain(program: Command): void {
  const command = program
    .command('undrain')
    .summary('put a node back into service')
    .description('Ends what `holdfast drain` began (operators).')
    .argument('<node>', 'node name')
    .addHelpText('after', HELP);
  addSocket(addJson(command)).action(undrain);
}
