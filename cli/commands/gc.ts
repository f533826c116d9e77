import type { Command } from 'commander';
import { addJson, addSocket, type JsonOption, type SocketOption, withConnection } from '../options';
import { printCollection, viewCollection } from '../output/retention';
import { print, printJson } from '../output/terminal';

interface GcOptions extends SocketOption, JsonOption {
  readonly dryRun?: boolean;
}

const HELP = `
Removes the generations that policies do not keep, and what no generation names: of one job, of all your jobs, or of the whole
store for admins. What is found to be garbage waits for the grace of the coordinator before a later run deletes it. The coordinator
does all of this by itself, too.

Examples:
  holdfast gc --dry-run
  holdfast gc JOB
  holdfast gc --dry-run --json | jq '.jobs[].decisions[] | select(.kept | not)'

Exit codes:
  0; 3 no such job; 9 the store failed; others: see holdfast(1), EXIT STATUS`;

/** Listing a large store and reading its manifests takes longer than an ordinary call. */
const GC_TIMEOUT_MS = 3_600_000;

async function gc(job: string | undefined, options: GcOptions): Promise<void> {
  await withConnection(options, async (connection) => {
    const dryRun = options.dryRun ?? false;
    const request = { job: job ?? '', dryRun };
    const { jobs } = await connection.call('collectGarbage', request, { timeoutMs: GC_TIMEOUT_MS });
    if (options.json) {
      printJson({ dryRun, jobs: jobs.map(viewCollection) });
      return;
    }
    if (jobs.length === 0) print('nothing is stored');
    for (const collection of jobs) printCollection(collection, dryRun);
    if (dryRun && jobs.length > 0) print('a dry run: nothing was changed');
  });
}

export function addGc(program: Command): void {
  const command = program
    .command('gc')
    .summary('remove what is not to be kept')
    .description(
      'Applies retention policies and deletes garbage, with the reason for everything kept and removed.',
    )
    .argument('[job]', 'job id')
    .option('-n, --dry-run', 'only say what would be done')
    .addHelpText('after', HELP);
  addSocket(addJson(command)).action(gc);
}
