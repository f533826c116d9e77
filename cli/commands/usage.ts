import type { Command } from 'commander';
import type { AccountUsage, JobUsage, UserUsage } from '../../proto/gen/holdfast/v1/coordinator';
import { addJson, addSocket, type JsonOption, type SocketOption, withConnection } from '../options';
import { formatSize, formatTime } from '../output/format';
import { viewJobUsage, viewTotals } from '../output/retention';
import { type Column, printTable } from '../output/table';
import { print, printJson } from '../output/terminal';

const HELP = `
LIVE is what checkpoints name, STORED also counts what waits for its deletion. Both are measured by each run of
\`holdfast gc\` and of the coordinator; what was uploaded since is added.

Examples:
  holdfast usage
  holdfast usage --json | jq '.users[] | select(.quotaBytes > 0 and .storedBytes > .quotaBytes)'

Exit codes:
  0, or as in holdfast(1), EXIT STATUS`;

const JOBS: Column<JobUsage>[] = [
  { title: 'JOB', cell: ({ job }) => job },
  { title: 'UID', cell: ({ uid }) => uid ?? '', align: 'right' },
  { title: 'ACCOUNT', cell: ({ account }) => account },
  { title: 'GENERATIONS', cell: ({ generations }) => generations, align: 'right' },
  { title: 'LIVE', cell: ({ liveBytes }) => formatSize(liveBytes), align: 'right' },
  { title: 'STORED', cell: ({ storedBytes }) => formatSize(storedBytes), align: 'right' },
  { title: 'MEASURED', cell: ({ measuredMs }) => formatTime(measuredMs) },
];

const TOTALS: Column<Omit<UserUsage, 'uid'>>[] = [
  { title: 'GENERATIONS', cell: ({ generations }) => generations, align: 'right' },
  { title: 'LIVE', cell: ({ liveBytes }) => formatSize(liveBytes), align: 'right' },
  { title: 'STORED', cell: ({ storedBytes }) => formatSize(storedBytes), align: 'right' },
  {
    title: 'QUOTA',
    cell: ({ quotaBytes }) => (quotaBytes > 0 ? formatSize(quotaBytes) : ''),
    align: 'right',
  },
];

const USERS: Column<UserUsage>[] = [{ title: 'UID', cell: ({ uid }) => uid, align: 'right' }, ...TOTALS];
const ACCOUNTS: Column<AccountUsage>[] = [{ title: 'ACCOUNT', cell: ({ account }) => account }, ...TOTALS];

async function usage(options: SocketOption & JsonOption): Promise<void> {
  await withConnection(options, async (connection) => {
    const { jobs, users, accounts } = await connection.call('getUsage', {});
    if (options.json) {
      printJson({
        jobs: jobs.map(viewJobUsage),
        users: users.map(viewTotals),
        accounts: accounts.map(viewTotals),
      });
      return;
    }
    printTable(JOBS, jobs, 'nothing is stored');
    if (users.length === 0) return;
    print('');
    printTable(USERS, users, '');
    if (accounts.length === 0) return;
    print('');
    printTable(ACCOUNTS, accounts, '');
  });
}

export function addUsage(program: Command): void {
  const command = program
    .command('usage')
    .summary('show what checkpoints take of the store')
    .description('Shows what the checkpoints of each job, user and account take of the store.')
    .addHelpText('after', HELP);
  addSocket(addJson(command)).action(usage);
}
