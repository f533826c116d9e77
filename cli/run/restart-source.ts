/** What a restart starts from, and where the output of the restarted job goes. */

import { HoldfastError } from '../../core/errors';
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

/** A number is a checkpoint, anything else a job. */
export async function resolveSource(connection: Connection, subject: string): Promise<RestartSource> {
  if (isNumber(subject)) {
    const manifest = await fetchManifest(connection, Number(subject));
    return {
      source: { $case: 'ckptId', value: Number(subject) },
      recordedOutput: manifest.header?.spec?.outputPath ?? '',
    };
  }
  const job = await fetchJob(connection, subject);
  return { source: { $case: 'job', value: subject }, recordedOutput: job.spec?.outputPath ?? '' };
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
