/** The file a job's output goes to: chosen and made before the job is submitted, so that a wrong one fails here. */

import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { HoldfastError } from '../../core/errors';

export interface OutputFile {
  /** Absolute. */
  readonly path: string;
  /** What the file held before: output of this job begins there. */
  readonly startBytes: number;
}

/** "holdfast-sim-20261123T163001-4711.out": a time and our pid make it unique where it will be read. */
export function defaultOutputName(label: string, now: Date, pid: number): string {
  const time = now.toISOString().slice(0, 19).replace(/[-:]/g, '');
  const safe = label.replace(/[^A-Za-z0-9._-]+/g, '_').slice(0, 40) || 'job';
  return `holdfast-${safe}-${time}-${pid}.out`;
}

/**
 * Creates the file, or opens an existing one for appending.
 * @throws INVALID_ARGUMENT when it cannot be written or is not a regular file
 */
export async function prepareOutput(path: string, cwd: string): Promise<OutputFile> {
  const absolute = resolve(cwd, path);
  const { O_WRONLY, O_CREAT, O_APPEND, O_NONBLOCK } = constants;
  try {
    // Without O_NONBLOCK, opening a FIFO would wait for its reader.
    const file = await open(absolute, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK, 0o666);
    try {
      const stat = await file.stat();
      if (!stat.isFile()) throw new Error('it is not a regular file');
      return { path: absolute, startBytes: stat.size };
    } finally {
      await file.close();
    }
  } catch (error) {
    throw new HoldfastError(
      'INVALID_ARGUMENT',
      `output file ${absolute} cannot be used: ${error instanceof Error ? error.message : String(error)}`,
      'name a file on storage that all nodes share with --output FILE',
      { cause: error },
    );
  }
}
