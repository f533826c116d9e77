import type { Command } from 'commander';
import type { Operation } from '../../proto/gen/holdfast/v1/coordinator';
import type { Connection } from '../client/connection';
import { addJson, addSocket, type JsonOption, type SocketOption, withConnection } from '../options';
import { chooseDisplay } from '../output/progress';
import { print, printJson } from '../output/terminal';
import { viewJob, viewOperation } from '../output/views';
import { attach, exitCodeOf, fetchJob } from '../run/attach';
import { forwardToJob } from '../run/job-signals';
import { awaitOperation, failureOf, noteFindings } from '../run/operation';
import type { OutputFile } from '../run/output-file';
import { jsonReporter, plainReporter } from '../run/reporter';
import {
  chooseOutput,
  fetchManifest,
  type RestartSource,
  resolveSource,
  restoredOutput,
} from '../run/restart-source';
import { buildEnd } from '../run/spec';
import { parseInterval, parseMoment, parseNames } from '../values';

interface RestartOptions extends SocketOption, JsonOption {
  readonly nodes?: string[];
  readonly output?: string;
  readonly lazy?: boolean;
  readonly deadline?: number;
  readonly walltime?: number;
  readonly detach?: boolean;
}

const HELP = `
A number is a checkpoint; a job id means its newest checkpoint. A job that still runs somewhere is ended first.
Without --nodes the coordinator chooses: the recorded nodes where they are up, else capable others.
Output goes on in the job's own file; a process that was tracked by pid gets a new one.

With --lazy the job waits only for the pages it touches; \`holdfast info JOB\` shows how much is there. It depends on
the store and on this node's agent until all is there: if the agent ends before, the job is ended, and restarted by its policy.

Examples:
  holdfast restart 17
  holdfast restart 17 --lazy
  holdfast restart JOB --nodes n3,n4 --detach

Exit codes:
  without --detach as \`holdfast run\`; with it 0 once the job runs; 3 no such checkpoint; 10 it is corrupt;
  11 a file has changed; 12 no capable node; others: see holdfast(1), EXIT STATUS`;

async function awaitRunning(connection: Connection, id: string, options: RestartOptions): Promise<Operation> {
  const display = chooseDisplay('restart', options.json ?? false);
  const operation = await awaitOperation(connection, id, display);
  if (options.json) printJson({ event: 'operation', operation: viewOperation(operation) });
  else noteFindings(operation);
  const failure = failureOf(operation);
  if (failure) throw failure;
  return operation;
}

async function followed(
  connection: Connection,
  operation: Operation,
  source: RestartSource,
  given: OutputFile | null,
): Promise<OutputFile> {
  if (given) return given;
  return restoredOutput(await fetchManifest(connection, operation.ckptId), source.recordedOutput);
}

async function restart(subject: string, options: RestartOptions): Promise<number> {
  return withConnection(options, async (connection) => {
    const source = await resolveSource(connection, subject);
    const given = await chooseOutput(source, options.output, process.cwd());
    const { operation: id } = await connection.call('restart', {
      source: source.source,
      nodes: options.nodes ?? [],
      outputPath: given?.path ?? '',
      lazy: options.lazy ?? false,
      ...buildEnd(options),
    });
    const operation = await awaitRunning(connection, id, options);
    const job = await fetchJob(connection, operation.job);
    if (options.detach) {
      if (options.json) printJson({ event: 'restarted', job: viewJob(job) });
      else print(job.id);
      return 0;
    }
    const reporter = options.json ? jsonReporter() : plainReporter();
    const signals = forwardToJob(connection, reporter);
    signals.setJob(job.id);
    try {
      const output = await followed(connection, operation, source, given);
      reporter.job('restarted', job);
      const ended = await attach(connection, job.id, output, reporter);
      reporter.job('ended', ended);
      return exitCodeOf(ended);
    } finally {
      signals.stop();
    }
  });
}

export function addRestart(program: Command): void {
  const command = program
    .command('restart')
    .summary('restart a job from a checkpoint')
    .description('Restarts a job from a checkpoint on the nodes that are left, and stays with it.')
    .argument('<ckpt|job>', 'checkpoint id, or a job for its newest checkpoint')
    .option('--nodes <a,b>', 'only these nodes, preferred ones first', parseNames)
    .option('--output <file>', 'where the output goes from now on')
    .option('--lazy', 'let the job run before its memory is there; fill it meanwhile')
    .option('--walltime <duration>', 'it ends after this long: take a last checkpoint before', parseInterval)
    .option('--deadline <time>', 'the same for a moment: 2030-12-31T18:00, or Unix seconds', parseMoment)
    .option('-d, --detach', 'leave once the job runs')
    .addHelpText('after', HELP);
  addSocket(addJson(command)).action(async (subject: string, options: RestartOptions) => {
    process.exitCode = await restart(subject, options);
  });
}
