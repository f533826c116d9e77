import { basename } from 'node:path';
import type { Command } from 'commander';
import { HoldfastError } from '../../core/errors';
import { addJson, addSocket, withConnection } from '../options';
import { print, printJson } from '../output/terminal';
import { viewJob } from '../output/views';
import { attach, exitCodeOf } from '../run/attach';
import { forwardToJob } from '../run/job-signals';
import { liveMode } from '../run/live';
import { addJobOptions, type RunOptions } from '../run/options';
import { defaultOutputName, type OutputFile, prepareOutput } from '../run/output-file';
import { jsonReporter, plainReporter } from '../run/reporter';
import { buildSchedule, buildSpec, RESTART_CHOICES, thisCaller } from '../run/spec';
import { slurmEnvironment } from '../slurm/environment';
import type * as SlurmRun from '../slurm/run';
import { parseChoice, parseInterval, parseNames } from '../values';

const HELP = `
The output goes to FILE, which the job's nodes must share, and from there to stdout. What happens to the job
(checkpoints, lost nodes, restarts) is told on stderr. SIGINT and SIGTERM are sent on to the job; a second
one kills it.

Examples:
  holdfast run -- ./simulate --steps 100000
  holdfast run --every auto --walltime 12h -- ./simulate
  holdfast run --nodes n1,n2 --every 10m --keep last=3,end=7d -- mpirun -np 64 --hostfile hosts ./simulate
  JOB=$(holdfast run --detach -- ./simulate)

Exit codes:
  the job's own (128 + signal for a signal); 8 when the job is lost, 13 when it was stopped at a checkpoint;
  others: see holdfast(1), EXIT STATUS`;

async function prepare(options: RunOptions, program: string): Promise<OutputFile> {
  const name = options.output ?? defaultOutputName(options.name ?? program, new Date(), process.pid);
  return prepareOutput(name, process.cwd());
}

/** Submits and, unless detached, stays until the end. Returns the exit code. */
async function run(argv: string[], options: RunOptions): Promise<number> {
  if (options.resume !== undefined) {
    const remedy = 'go on with `holdfast restart JOB`';
    throw new HoldfastError('INVALID_ARGUMENT', '--resume is for Slurm jobs, and this is none', remedy);
  }
  if (options.node && options.nodes) {
    throw new HoldfastError('INVALID_ARGUMENT', '--node and --nodes were both given', 'give one of them');
  }
  return withConnection(options, async (connection) => {
    const program = basename(argv[0] ?? '');
    const output = await prepare(options, program);
    const reporter = options.json ? jsonReporter() : plainReporter();
    const signals = forwardToJob(connection, reporter);
    const spec = buildSpec(
      {
        argv,
        name: options.name ?? program,
        nodes: options.nodes ?? (options.node ? [options.node] : []),
        schedule: buildSchedule(options),
        live: liveMode(options.live),
        restart: options.restart,
        maxRestarts: options.maxRestarts,
        restartBackoffMs: options.restartBackoff ?? 0,
        outputPath: output.path,
        retention: options.keep,
        account: options.account,
      },
      thisCaller(),
    );
    const { job } = await connection.call('submitJob', { spec, resume: '' });
    if (!job) throw new HoldfastError('INTERNAL', 'the coordinator accepted the job but did not name it');
    signals.setJob(job.id);
    try {
      if (options.detach) {
        if (options.json) printJson({ job: viewJob(job) });
        else print(job.id);
        return 0;
      }
      reporter.job('submitted', job);
      const ended = await attach(connection, job.id, output, reporter);
      reporter.job('ended', ended);
      return exitCodeOf(ended);
    } finally {
      signals.stop();
    }
  });
}

const inSlurm = () => require('../slurm/run') as typeof SlurmRun;

export function addRun(program: Command): void {
  const command = program
    .command('run')
    .summary('start a job and stay with it')
    .description('Starts a command as a job that can be checkpointed and restarted, and stays with it.')
    .argument('<command...>', 'the command and its arguments')
    .passThroughOptions();
  addJobOptions(command)
    .option('--nodes <a,b>', 'nodes to use, in order; the first one runs the command', parseNames)
    .option('--node <node>', 'the node to use')
    .option(
      '--restart <never|same|any>',
      'after a loss, restart never, on the same nodes or on any (default: any with scheduled checkpoints, else never)',
      parseChoice(RESTART_CHOICES),
    )
    .option(
      '--restart-backoff <duration>',
      'wait before a restart that follows another without a checkpoint, doubled each time (default: 10s)',
      parseInterval,
    )
    .option('--no-slurm', 'inside of a Slurm job: do as if it were none')
    .option('-d, --detach', 'print the job id and leave')
    .addHelpText('after', HELP);
  addSocket(addJson(command)).action(async (argv: string[], options: RunOptions) => {
    const slurm = options.slurm ? slurmEnvironment(process.env) : null;
    process.exitCode =
      slurm === null ? await run(argv, options) : await inSlurm().runInSlurm(argv, options, slurm);
  });
}
