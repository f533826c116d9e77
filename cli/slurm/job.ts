/** A job of a Slurm job from its submission to its end, or to the end of this run of the script. */
import { rmSync } from 'node:fs';
import { HoldfastError, toHoldfastError } from '../../core/errors';
import { isStopCause, seatOf } from '../../core/slurm/names';
import { type SlurmJobState, slurmJobState } from '../../core/slurm/scontrol';
import type { Job } from '../../proto/gen/holdfast/v1/coordinator';
import type { JobSpec, SlurmTask } from '../../proto/gen/holdfast/v1/manifest';
import type { Connection } from '../client/connection';
import { chooseDisplay } from '../output/progress';
import { attach, exitCodeOf, fetchJob } from '../run/attach';
import { liveMode } from '../run/live';
import { awaitOperation, failureOf, noteFindings } from '../run/operation';
import type { JobOptions } from '../run/options';
import { jsonReporter, plainReporter, type Reporter } from '../run/reporter';
import { buildSchedule, buildSpec, thisCaller } from '../run/spec';
import { type SlurmEnvironment, slurmTask } from './environment';
import { withSlurmOptions } from './options';
import { newOutput, resumedOutput, type SeatedOutput } from './output';
import { patiently } from './patience';
import { requeue } from './requeue';
import { agentSocket } from './seat';
import { type StopWatch, watchStops } from './stops';

export interface SeatedCommand {
  readonly argv: string[];
  readonly name: string;
  readonly key: string;
  /** Holdfast's names of the job's nodes; the first one runs argv. */
  readonly nodes: string[];
  readonly environment: NodeJS.ProcessEnv;
  /** Calls back when Slurm has sent a signal to one of the job's tasks. */
  readonly onSignalled?: (listener: (signal: number) => void) => void;
}

/** As many as anybody wants, and an end for what fails each time. */
const DEFAULT_REQUEUES = 100;

/** Returns the exit code. */
export async function runSeated(
  connection: Connection,
  command: SeatedCommand,
  given: JobOptions,
  slurm: SlurmEnvironment,
): Promise<number> {
  const options = withSlurmOptions(given, command.environment);
  const reporter = options.json ? jsonReporter() : plainReporter();
  const state = await stateOf(slurm, reporter);
  const canRequeue =
    state?.mayRequeue === true && slurm.restartCount < (options.maxRestarts ?? DEFAULT_REQUEUES);
  const fresh = await newOutput(options.output, slurm.name);
  const task = slurmTask(slurm, command.key, canRequeue);
  const spec = buildSpecOf(command, options, fresh.path, task, state?.endMs || slurm.endMs);
  const stops = watchStops(connection, slurm, spec.deadlineMs, reporter);
  command.onSignalled?.((signal) => stops.signalled(signal));
  try {
    const submit = () => connection.call('submitJob', { spec, resume: options.resume ?? '' });
    const answer = await patiently(submit, reporter.note);
    const { job } = answer;
    if (!job) throw new HoldfastError('INTERNAL', 'the coordinator accepted the job but did not name it');
    const isNew = job.spec?.outputPath === fresh.path;
    if (!isNew) rmSync(fresh.path, { force: true });
    const output = isNew ? fresh : resumedOutput(job.spec?.outputPath ?? '');
    if (answer.completedEarlier) return await showCompleted(job, output, reporter);
    stops.begin(job.id);
    if (answer.operation) await awaitRestart(connection, job, answer.operation, spec, reporter, options);
    reporter.job(answer.operation ? 'restarted' : 'submitted', await fetchJob(connection, job.id));
    const ended = await attach(connection, job.id, output.file, output.reporting(reporter));
    reporter.job('ended', ended);
    return await conclude(ended, slurm, { canRequeue, stops, reporter, socketPath: agentSocket(connection) });
  } catch (error) {
    // Nobody writes there.
    fresh.removeIfEmpty();
    throw error;
  } finally {
    stops.end();
  }
}

/** Without Slurm's answer the job runs as well: it only is not requeued by itself. */
async function stateOf({ jobId }: SlurmEnvironment, reporter: Reporter): Promise<SlurmJobState | null> {
  return slurmJobState(jobId).catch((thrown) => {
    reporter.note(
      `no last checkpoint before the end of Slurm job ${jobId}: ${toHoldfastError(thrown).message}`,
    );
    return null;
  });
}

function buildSpecOf(
  { argv, name, nodes, environment }: SeatedCommand,
  options: JobOptions,
  outputPath: string,
  slurm: SlurmTask,
  endMs: number,
) {
  const isScheduled = options.every !== undefined || options.cron !== undefined;
  const hasEnd = options.deadline !== undefined || options.walltime !== undefined || endMs <= Date.now();
  const schedule = buildSchedule({
    ...options,
    ...(isScheduled ? {} : { every: 'auto' as const }),
    ...(hasEnd ? {} : { deadline: endMs }),
  });
  const request = {
    ...{ argv, name, nodes, schedule, outputPath, slurm, live: liveMode(options.live) },
    ...{ restart: 'never' as const, maxRestarts: undefined, restartBackoffMs: 0, retention: options.keep },
    account: options.account,
  };
  return buildSpec(request, { ...thisCaller(), environment });
}

/** A node of the job may not have come up yet, and a checkpoint may turn out to be damaged. */
async function awaitRestart(
  connection: Connection,
  { id: job }: Job,
  first: string,
  { nodes, deadlineMs }: Pick<JobSpec, 'nodes' | 'deadlineMs'>,
  { note }: Reporter,
  { json = false }: JobOptions,
): Promise<void> {
  const request = { source: { $case: 'job' as const, value: job }, nodes, deadlineMs };
  await patiently(async (isAgain) => {
    const other = { outputPath: '', lazy: false, walltimeMs: 0 };
    const id = isAgain ? (await connection.call('restart', { ...request, ...other })).operation : first;
    const operation = await awaitOperation(connection, id, chooseDisplay('restart', json));
    noteFindings(operation);
    const failure = failureOf(operation);
    if (failure) throw failure;
  }, note);
}

/** Slurm may have begun a new output for this run of the script: then what the command printed belongs into it. */
async function showCompleted(job: Job, output: SeatedOutput, reporter: Reporter): Promise<number> {
  await output.showRest();
  reporter.note(`job ${job.id} was completed by an earlier run of the script: it is not run again`);
  return job.exitCode ?? 0;
}

interface Ending {
  readonly canRequeue: boolean;
  readonly stops: StopWatch;
  readonly reporter: Reporter;
  readonly socketPath: string;
}

async function conclude(
  job: Job,
  slurm: SlurmEnvironment,
  { canRequeue, stops, reporter, socketPath }: Ending,
): Promise<number> {
  const isStopped = isStopCause(job.stopCause);
  if (isStopped && canRequeue) {
    reporter.note(`stopped at a checkpoint (${job.stopCause}): Slurm job ${slurm.jobId} is requeued`);
    stops.end();
    await requeue(socketPath, seatOf(slurm));
  }
  if (isStopped) {
    throw new HoldfastError(
      'ABORTED',
      `job ${job.id} was stopped at checkpoint generation ${job.lastGeneration} (${job.stopCause})`,
      `submit the script again with \`holdfast run --resume ${job.id}\`, or with --resume auto`,
    );
  }
  return exitCodeOf(job);
}
