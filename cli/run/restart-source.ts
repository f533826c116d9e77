/** What a restart starts from, and where the output of the restarted job goes. */

import { HoldfastError } from '../../core/errors';
import { isTaskName } from '../../core/slurm/names';
import type { RestartRequest } from '../../proto/gen/holdfast/v1/coordinator';
import type { Manifest } from '../../proto/gen/holdfast/v1/manifest';
import type { Connection } from '../client/connection';
import { fetchJob } from './attach';
import { defaultOutputName, type OutputFile, prepareOutput } from './output-file';
import { isNumber } from './subject';

export interface RestartSource {
  readonly source: NonNullable<RestartRequest['source']>;
  /** The output file as submitted; empty for a process that was only tracked. */
  readonly recordedOutput: string;
}

export async function fetchManifest(connection: Connection, ckptId: number): Promise<Manifest> {
  const { manifest } = await connection.call('getCheckpoint', { ckptId });
  if (!manifest) {
    throw new HoldfastError('NOT_FOUND', `checkpoint ${ckptId} does not exist`, 'see `holdfast checkpoints`');
  }
  return manifest;
}

/**
 * Tasks of Slurm's have names that tell them apart: the job of "slurm-12.0.3", or of "slurm-12" where that has only one.
 * @throws HoldfastError NOT_FOUND, INVALID_ARGUMENT when several have the name
 */
export async function jobOfTask(connection: Connection, name: string): Promise<string> {
  const { jobs } = await connection.call('listJobs', { all: true });
  const found = jobs.filter(({ spec }) => spec?.name === name || spec?.name.startsWith(`${name}.`));
  const [job] = found;
  if (job === undefined) {
    const remedy = 'see `holdfast jobs --all`, and `holdfast slurm track` while the Slurm job runs';
    throw new HoldfastError('NOT_FOUND', `no task ${name} was tracked`, remedy);
  }
  if (found.length === 1) return job.id;
  const all = found.map(({ id, spec }) => `${id} (${spec?.name})`).join(', ');
  throw new HoldfastError('INVALID_ARGUMENT', `${name} names several jobs: ${all}`, 'give the id of one');
}

/** A number is a checkpoint, the name of a task the job that it is, anything else a job. */
export async function resolveSource(connection: Connection, subject: string): Promise<RestartSource> {
  if (isNumber(subject)) {
    const manifest = await fetchManifest(connection, Number(subject));
    return {
      source: { $case: 'ckptId', value: Number(subject) },
      recordedOutput: manifest.header?.spec?.outputPath ?? '',
    };
  }
  const id = isTaskName(subject) ? await jobOfTask(connection, subject) : subject;
  const job = await fetchJob(connection, id);
  return { source: { $case: 'job', value: id }, recordedOutput: job.spec?.outputPath ?? '' };
}

/**
 * The file to give to the restarted job: the one asked for, or a new one when the job never had one of its own.
 * null leaves the output where it was.
 */
export async function chooseOutput(
  source: RestartSource,
  asked: string | undefined,
  cwd: string,
): Promise<OutputFile | null> {
  if (asked !== undefined) return prepareOutput(asked, cwd);
  if (source.recordedOutput !== '') return null;
  return prepareOutput(defaultOutputName(`restart-${source.source.value}`, new Date(), process.pid), cwd);
}

/** Where the output of the restored job begins: the largest size that a node recorded for the file. */
export function restoredOutput(manifest: Manifest, path: string): OutputFile {
  const sizes = manifest.nodes
    .flatMap((node) => node.trees)
    .flatMap((tree) => tree.sharedFiles)
    .filter((file) => file.path === path)
    .map((file) => file.sizeBytes);
  return { path, startBytes: Math.max(0, ...sizes) };
}
