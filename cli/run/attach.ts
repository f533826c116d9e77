/** Stays with a job until it ends: its output on stdout, what happens to it on stderr, its exit code as ours. */

import { setTimeout as delay } from 'node:timers/promises';
import { HoldfastError } from '../../core/errors';
import type { Job } from '../../proto/gen/holdfast/v1/coordinator';
import type { Connection } from '../client/connection';
import { observe } from '../client/observe';
import { Narrator } from '../output/narrator';
import { hasEnded, jobState } from '../output/views';
import { follow } from './follow';
import type { OutputFile } from './output-file';
import type { Reporter } from './reporter';

/** A network file system may show the last lines late; not finding them at once does not mean they are not there. */
const SETTLE_MS = 50;

export async function fetchJob(connection: Connection, id: string): Promise<Job> {
  const { job } = await connection.call('getJob', { job: id });
  if (!job) throw new HoldfastError('NOT_FOUND', `job ${id} does not exist`, 'see `holdfast jobs --all`');
  return job;
}

async function copyOutput(output: OutputFile, ended: AbortSignal, reporter: Reporter): Promise<void> {
  for await (const event of follow(output.path, output.startBytes, ended)) {
    if (event.kind === 'data') await reporter.output(event.offset, event.bytes);
    else reporter.rolledBack(event.fromBytes, event.toBytes);
  }
}

/** The job does not depend on our reading: a file we cannot read is told, and the waiting goes on. */
function reportUnreadable(output: OutputFile, reporter: Reporter): (error: unknown) => void {
  return (error) => {
    const cause = error instanceof Error ? error.message : String(error);
    reporter.note(`output ${output.path} can no longer be followed: ${cause}`);
  };
}

/**
 * The exit code for a job that has ended: its own when it has one.
 * @throws ABORTED for a job that was stopped at a checkpoint, NODE_LOST for one that is lost
 */
export function exitCodeOf(job: Job): number {
  switch (jobState(job)) {
    case 'COMPLETED':
      return job.exitCode ?? 0;
    case 'STOPPED':
      throw new HoldfastError(
        'ABORTED',
        `job ${job.id} was stopped at checkpoint generation ${job.lastGeneration}, before its end`,
        `go on with \`holdfast restart ${job.id}\``,
      );
    case 'LOST':
      throw new HoldfastError(
        'NODE_LOST',
        `job ${job.id} is lost${job.reason && `: ${job.reason}`}`,
        job.lastGeneration > 0 ? `try \`holdfast restart ${job.id}\` when enough nodes are up` : '',
      );
    default:
      return job.exitCode ?? 1;
  }
}

/**
 * Resolves with the job once it has ended and its output was copied. `output` null follows no file.
 * @throws HoldfastError when the job is no longer known
 */
export async function attach(
  connection: Connection,
  id: string,
  output: OutputFile | null,
  reporter: Reporter,
): Promise<Job> {
  const ended = new AbortController();
  const narrator = new Narrator((sentence) => reporter.note(sentence));
  const copying = output
    ? copyOutput(output, ended.signal, reporter).catch(reportUnreadable(output, reporter))
    : undefined;
  const watching = observe<Job>({
    open: (after, signal) => connection.watch({ $case: 'job', value: id }, after, signal),
    get: () => fetchJob(connection, id),
    pick: (event) => (event.$case === 'job' && event.value.id === id ? event.value : undefined),
    ended: hasEnded,
    onEvent: (event) => {
      narrator.event(event);
      reporter.event(event);
    },
    onValue: (job) => narrator.job(job),
    onLost: (error) => reporter.note(`connection lost (${error.message}); job ${id} goes on, trying again`),
  }).finally(async () => {
    await delay(SETTLE_MS);
    ended.abort();
  });
  const [job] = await Promise.all([watching, copying]);
  return job;
}
