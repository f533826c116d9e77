import type { Command } from 'commander';
import type { Job } from '../../proto/gen/holdfast/v1/coordinator';
import { addJson, addSocket, type JsonOption, type SocketOption, withConnection } from '../options';
import { ellipsize, formatAge, formatCommand } from '../output/format';
import { type Column, printTable } from '../output/table';
import { note, printJson } from '../output/terminal';
import { fillingText, jobNodes, jobState, viewJob, viewSlurmRecord } from '../output/views';

const MAX_NOTES = 10;

interface JobsOptions extends SocketOption, JsonOption {
  readonly all?: boolean;
}

const HELP = `
Examples:
  holdfast jobs --all
  holdfast jobs --json | jq -r '.jobs[] | select(.state == "RUNNING") | .id'

Exit codes:
  0, or as in holdfast(1), EXIT STATUS`;

/** A job's exit code, its reason, or nothing while it runs. */
function outcome(job: Job): string {
  if (job.exitCode !== undefined) return `exit ${job.exitCode}`;
  return fillingText(job) || job.reason;
}

function columns(nowMs: number): Column<Job>[] {
  return [
    { title: 'JOB', cell: (job) => job.id },
    { title: 'NAME', cell: (job) => ellipsize(job.spec?.name ?? '', 20) },
    { title: 'UID', cell: (job) => job.spec?.uid ?? '', align: 'right' },
    { title: 'STATE', cell: jobState },
    { title: 'NODES', cell: (job) => ellipsize(jobNodes(job).join(','), 30) },
    { title: 'GEN', cell: (job) => job.lastGeneration || '-', align: 'right' },
    { title: 'RESTARTS', cell: (job) => job.restartCount, align: 'right' },
    { title: 'AGE', cell: (job) => formatAge(job.createdMs, nowMs), align: 'right' },
    { title: 'OUTCOME', cell: (job) => ellipsize(outcome(job), 40) },
    { title: 'COMMAND', cell: (job) => ellipsize(formatCommand(job.spec?.argv ?? []), 60) },
  ];
}

async function jobs(options: JobsOptions): Promise<void> {
  await withConnection(options, async (connection) => {
    const response = await connection.call('listJobs', { all: options.all ?? false });
    const { untracked } = response;
    if (options.json) {
      printJson({ jobs: response.jobs.map(viewJob), untracked: untracked.map(viewSlurmRecord) });
      return;
    }
    printTable(columns(Date.now()), response.jobs, 'no jobs');
    for (const { jobId, node, untracked: why } of untracked.slice(0, MAX_NOTES))
      note(`Slurm job ${jobId} ran untracked on ${node}: ${why}`);
    if (untracked.length > MAX_NOTES) note('and more: see `holdfast slurm jobs`');
  });
}

export function addJobs(program: Command): void {
  const command = program
    .command('jobs')
    .summary('list jobs')
    .description('Lists your jobs; operators see those of everybody.')
    .option('-a, --all', 'also jobs that have ended')
    .addHelpText('after', HELP);
  addSocket(addJson(command)).action(jobs);
}
