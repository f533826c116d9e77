/** What nodes find of a Slurm job: to look at, and to put under checkpoints. */
import type { Command } from 'commander';
import { HoldfastError } from '../../core/errors';
import { parseSelection } from '../../core/slurm/selection';
import type { SlurmProcess, SlurmSelection } from '../../proto/gen/holdfast/v1/agent';
import type { Connection } from '../client/connection';
import { addJson, addSocket, type JsonOption, type SocketOption, withConnection } from '../options';
import { type Column, printTable } from '../output/table';
import { note, print, printJson } from '../output/terminal';
import { viewSlurmProcess } from '../output/views';
import { parsePolicy } from '../policy';
import { limitsOf, type Tracked, type TrackWishes, trackAll } from '../slurm/track';
import { parseEvery } from '../values';

const JOB = '<slurm-job>';
const JOB_HELP = 'number of the Slurm job: 12, 12_3 of an array, 12+1 of a heterogeneous job';

const COLUMNS: Column<SlurmProcess>[] = [
  { title: 'SLURM', cell: ({ name }) => name },
  { title: 'STEP', cell: ({ step }) => step },
  { title: 'TASK', cell: ({ task }) => task, align: 'right' },
  { title: 'NODE', cell: ({ node }) => node },
  { title: 'PID', cell: ({ pid }) => pid, align: 'right' },
  { title: 'UID', cell: ({ uid }) => uid, align: 'right' },
  { title: 'STATE', cell: ({ suspended }) => (suspended ? 'suspended' : 'running') },
  { title: 'CHECKPOINTS', cell: ({ job, refusal }) => job || refusal || 'not tracked' },
  { title: 'COMMAND', cell: ({ command }) => command },
];

const NOTHING = 'no node has a task of it';

async function find(connection: Connection, selection: SlurmSelection) {
  const found = await connection.call('listSlurmTasks', { selection });
  const silent = found.silent.map(({ node, reason }) => ({ node, reason }));
  for (const { node, reason } of silent) note(`${node} may have more: ${reason}`);
  return { processes: found.processes, silent };
}

const TASKS_HELP = `
Every node looks for it now: in Slurm's control groups, or without them among the children of slurmstepd. Your own; operators see those of everybody.

Examples:
  holdfast slurm tasks 12
  holdfast slurm tasks 12_3 --json | jq '.processes[].pid'

Exit codes:
  0, also when there is none; others: see holdfast(1), EXIT STATUS`;

async function tasks(job: string, options: SocketOption & JsonOption): Promise<void> {
  const selection = parseSelection(job);
  await withConnection(options, async (connection) => {
    const { processes, silent } = await find(connection, selection);
    if (options.json) printJson({ processes: processes.map(viewSlurmProcess), silent });
    else printTable(COLUMNS, processes, NOTHING);
  });
}

const TRACK_HELP = `
For a job that runs without \`holdfast run\`. Each task becomes a job of its own, and so does each program that a batch script runs at that
time. What cannot be done is said. To start one again, outside of Slurm's control: \`holdfast restart slurm-12.0.3\` (step 0, task 3).

Examples:
  holdfast slurm track 12 --every 10m --keep 3
  holdfast slurm track 12_3

Exit codes:
  0 all that can be tracked is; 3 no node has a task of it; 5 nothing of it can be tracked; others: see holdfast(1), EXIT STATUS`;

type TrackOptions = SocketOption & JsonOption & TrackWishes;

async function track(job: string, options: TrackOptions): Promise<void> {
  const selection = parseSelection(job);
  await withConnection(options, async (connection) => {
    const { processes, silent } = await find(connection, selection);
    if (processes.length === 0)
      throw new HoldfastError(
        'NOT_FOUND',
        `Slurm job ${job}: ${NOTHING}`,
        'see `squeue`, and `holdfast nodes`',
      );
    const results = await trackAll(connection, processes, options);
    if (options.json) printJson({ tasks: results.map(viewTracked), silent });
    else for (const result of results) print(lineOf(result));
    for (const line of limitsOf(results, options)) note(line);
    if (results.some(({ outcome }) => outcome === 'tracked' || outcome === 'already')) return;
    throw new HoldfastError(
      'NOT_CAPTURABLE',
      `nothing of Slurm job ${job} can be tracked`,
      'see the reasons above',
    );
  });
}

const viewTracked = ({ process, job, outcome, reason }: Tracked) => ({
  ...viewSlurmProcess(process),
  ...{ job: job || null, outcome, reason },
});

function lineOf({ process, job, outcome, reason }: Tracked): string {
  const { command, name, node, pid, step, task } = process;
  const what = `${name} step ${step} task ${task} on ${node} (pid ${pid}: ${command})`;
  if (outcome === 'tracked') return `${what}: job ${job}`;
  if (outcome === 'already') return `${what}: job ${job} already`;
  return `${what}: not tracked: ${reason}`;
}

export function addSlurmTasks(slurm: Command): void {
  const listing = slurm
    .command('tasks')
    .summary('list tasks of a Slurm job on all nodes')
    .description(
      'Lists the processes of a Slurm job that can be put under checkpoints, and why others cannot.',
    )
    .argument(JOB, JOB_HELP)
    .addHelpText('after', TASKS_HELP);
  addSocket(addJson(listing)).action(tasks);
  const tracking = slurm
    .command('track')
    .summary('put tasks of a running Slurm job under checkpoints')
    .description('Tracks the tasks of a Slurm job that was started without Holdfast, as far as possible.')
    .argument(JOB, JOB_HELP)
    .option(
      '--every <interval>',
      'take checkpoints this often: 30s, 10m; auto: as cost and failures suggest',
      parseEvery,
    )
    .option('--keep <policy>', 'which checkpoints are kept: 3, or last=3,daily=7,end=14d', parsePolicy)
    .addHelpText('after', TRACK_HELP);
  addSocket(addJson(tracking)).action(track);
}
