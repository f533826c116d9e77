import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { HoldfastError } from '../../core/errors';
import { parseConfiguration } from '../../core/slurm/configuration';
import { scontrol } from '../../core/slurm/scontrol';
import type { SlurmRecord } from '../../proto/gen/holdfast/v1/coordinator';
import { addJson, addSocket, type JsonOption, type SocketOption, withConnection } from '../options';
import { formatAge, formatCount } from '../output/format';
import { type Column, printTable } from '../output/table';
import { note, paint, print, printJson } from '../output/terminal';
import { viewSlurmRecord } from '../output/views';
import { checkSite, type SiteFinding } from '../slurm/site/checks';
import { DEFAULT_DIRECTORY, installedHooks, installFiles } from '../slurm/site/files';
import { parsePath } from '../values';
import { addSlurmTasks } from './slurm-tasks';

const HELP = `
Examples:
  holdfast slurm install --to /usr/lib/holdfast/slurm
  holdfast slurm check
  holdfast slurm jobs
  holdfast slurm track 12 --every 10m

Exit codes:
  see the subcommands`;

interface CheckOptions extends JsonOption {
  readonly conf?: string;
  readonly to: string;
}

const CHECK_HELP = `
Asks \`scontrol show config\`, or reads a file, and says what is missing, with the line to write.

Examples:
  holdfast slurm check
  holdfast slurm check --conf /etc/slurm/slurm.conf --json

Exit codes:
  0 nothing is missing, there may be advice; 2 something is missing; others: see holdfast(1), EXIT STATUS`;

async function check({ conf, json = false, to }: CheckOptions): Promise<void> {
  const configuration = parseConfiguration(conf ? readConf(conf) : await scontrol(['show', 'config']));
  const findings = checkSite(configuration, installedHooks(configuration), to);
  const missing = findings.filter(({ verdict }) => verdict === 'missing').length;
  if (json) printJson({ usable: missing === 0, findings });
  else for (const finding of findings) printFinding(finding);
  if (missing === 0) return;
  const what = formatCount(missing, 'setting');
  throw new HoldfastError(
    'INVALID_ARGUMENT',
    `${what} of Slurm missing`,
    'write the lines above to slurm.conf',
  );
}

const WHY: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EISDIR: 'it is a directory',
  EACCES: 'you may not read it',
};

function readConf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (thrown) {
    const { code = '', message } = thrown as NodeJS.ErrnoException;
    throw new HoldfastError(
      'INVALID_ARGUMENT',
      `Slurm's configuration ${path} cannot be read: ${WHY[code] ?? message}`,
      'name slurm.conf with --conf, or leave it out to ask scontrol',
    );
  }
}

const COLOURS = { ok: 'green', advice: 'yellow', missing: 'red' } as const;

function printFinding({ line, setting, value, verdict, why }: SiteFinding): void {
  print(`${paint(COLOURS[verdict], verdict.padEnd(7))}  ${setting}${value === '' ? '' : `=${value}`}`);
  if (line !== '') print(`           ${why}\n           write: ${line}`);
}

const INSTALL_HELP = `
Copies the hooks, the program that they run and the plug-in, and prints the lines for slurm.conf and plugstack.conf.
The directory must be at the same path on all nodes. The plug-in fits the version of Slurm that it was built with.

Examples:
  holdfast slurm install --to /usr/lib/holdfast/slurm

Exit codes:
  0; 2 it cannot be written; 4 not permitted; others: see holdfast(1), EXIT STATUS`;

function install({ to, json = false }: { to: string } & JsonOption): void {
  const files = installFiles(to);
  const lines = {
    'slurm.conf': [
      ...[`Prolog=${to}/prolog`, `Epilog=${to}/epilog`, `TaskProlog=${to}/task-prolog`],
      ...[`PrologSlurmctld=${to}/prolog-slurmctld`, `EpilogSlurmctld=${to}/epilog-slurmctld`],
    ],
    'plugstack.conf': [`optional ${to}/holdfast-spank.so`],
  };
  if (json) {
    printJson({ directory: to, files, lines });
    return;
  }
  note(`${formatCount(files.length, 'file')} in ${to}`);
  for (const [file, texts] of Object.entries(lines)) {
    print(`# ${file}`);
    for (const text of texts) print(text);
  }
}

const JOBS_HELP = `
What agents and coordinator have heard from Slurm's hooks in the last week, a line for each node and one for the whole job: your Slurm jobs; root sees those of everybody.

Examples:
  holdfast slurm jobs
  holdfast slurm jobs --json | jq '.records[] | select(.untracked != "")'

Exit codes:
  0, or as in holdfast(1), EXIT STATUS`;

function columns(nowMs: number): Column<SlurmRecord>[] {
  return [
    { title: 'SLURM', cell: ({ jobId }) => jobId, align: 'right' },
    { title: 'RUN', cell: ({ restartCount }) => restartCount, align: 'right' },
    { title: 'USER', cell: ({ user, uid }) => user || uid },
    // Of the whole job: all of its nodes.
    { title: 'NODE', cell: ({ node, nodeList }) => node || nodeList },
    { title: 'BEGAN', cell: ({ registeredMs }) => since(registeredMs, nowMs), align: 'right' },
    { title: 'ENDED', cell: ({ endedMs }) => since(endedMs, nowMs), align: 'right' },
    { title: 'UNTRACKED', cell: ({ untracked }) => untracked },
  ];
}

const since = (ms: number, nowMs: number): string => (ms === 0 ? '' : formatAge(ms, nowMs));

async function jobs(options: SocketOption & JsonOption): Promise<void> {
  await withConnection(options, async (connection) => {
    const { records } = await connection.call('listSlurmJobs', {});
    if (options.json) printJson({ records: records.map(viewSlurmRecord) });
    else printTable(columns(Date.now()), records, 'the nodes have not heard of a Slurm job');
  });
}

export function addSlurm(program: Command): void {
  const slurm = program
    .command('slurm')
    .summary('set up and look at Slurm')
    .description('Sets a site up for Slurm, checks its configuration, and finds Slurm jobs on the nodes.')
    .addHelpText('after', HELP);
  const checking = slurm
    .command('check')
    .summary('say what is missing in the configuration of Slurm')
    .description("Compares Slurm's configuration with what Holdfast needs.")
    .option('--conf <file>', 'read this slurm.conf instead of asking scontrol', parsePath)
    .option('--to <dir>', 'where `holdfast slurm install` put its files', parsePath, DEFAULT_DIRECTORY)
    .addHelpText('after', CHECK_HELP);
  addJson(checking).action(check);
  const installing = slurm
    .command('install')
    .summary('copy hooks and plug-in for Slurm')
    .description('Installs what Slurm runs: hooks and the plug-in with the option --holdfast.')
    .option('--to <dir>', 'the directory, seen by all nodes', parsePath, DEFAULT_DIRECTORY)
    .addHelpText('after', INSTALL_HELP);
  addJson(installing).action(install);
  const listing = slurm
    .command('jobs')
    .summary('list Slurm jobs that nodes have heard of')
    .description('Lists Slurm jobs by node, with why one ran untracked.')
    .addHelpText('after', JOBS_HELP);
  addSocket(addJson(listing)).action(jobs);
  addSlurmTasks(slurm);
}
