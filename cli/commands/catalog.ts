import type { Command } from 'commander';
import { addJson, addSocket, type JsonOption, type SocketOption, withConnection } from '../options';
import { formatCount } from '../output/format';
import { print, printJson } from '../output/terminal';

const HELP = `
The store is the truth about checkpoints, and the catalog its copy in Redis: nothing is lost with the copy.

Example:
  holdfast catalog rebuild

Exit codes:
  0; 4 the caller is no admin; 9 the store failed; others: see holdfast(1), EXIT STATUS`;

/** Reading every manifest of a large store takes longer than an ordinary call. */
const REBUILD_TIMEOUT_MS = 3_600_000;

async function rebuild(options: SocketOption & JsonOption): Promise<void> {
  await withConnection(options, async (connection) => {
    const { jobs, checkpoints } = await connection.call(
      'rebuildCatalog',
      {},
      { timeoutMs: REBUILD_TIMEOUT_MS },
    );
    if (options.json) printJson({ jobs, checkpoints });
    else print(`the catalog has ${formatCount(checkpoints, 'checkpoint')} of ${formatCount(jobs, 'job')}`);
  });
}

export function addCatalog(program: Command): void {
  const catalog = program
    .command('catalog')
    .summary('look after the catalog of checkpoints')
    .description('Looks after the catalog of checkpoints.')
    .addHelpText('after', HELP);
  const command = catalog
    .command('rebuild')
    .summary('read the catalog anew from the store')
    .description('Reads the catalog of checkpoints anew from the manifests in the store.')
    .addHelpText('after', HELP);
  addSocket(addJson(command)).action(rebuild);
}
