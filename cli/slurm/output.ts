/** The file that a job of a Slurm job writes to, and how it gets to the output of the batch script. */
import { constants, rmSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { HoldfastError } from '../../core/errors';
import { follow } from '../run/follow';
import type { OutputFile } from '../run/output-file';
import type { Reporter } from '../run/reporter';
import { type Resumption, readRecord, recordPath, Shower, scriptOutput, whatWasShown } from './shown';

export interface SeatedOutput {
  readonly path: string;
  readonly file: OutputFile;
  /** The reporter, but with the output shown once. */
  reporting(reporter: Reporter): Reporter;
  /** For a job that has ended. */
  showRest(): Promise<void>;
  removeIfEmpty(): void;
}

const STDOUT = 1;

function writeOut(bytes: Buffer): Promise<void> {
  return new Promise((done) => {
    process.stdout.write(bytes, () => done());
  });
}

function seatedOutput(path: string, resumption: Resumption): SeatedOutput {
  const shower = new Shower(recordPath(path), scriptOutput(STDOUT), writeOut, resumption);
  return {
    path,
    file: { path, startBytes: shower.position },
    reporting: (reporter) => ({
      ...reporter,
      output: (offset, bytes) => shower.show(offset, bytes),
      // What is written again after it is not shown again.
      rolledBack: () => undefined,
    }),
    showRest: async () => {
      for await (const event of follow(path, shower.position, AbortSignal.abort()))
        if (event.kind === 'data') await shower.show(event.offset, event.bytes);
    },
    removeIfEmpty: () => {
      const stat = statSync(path, { throwIfNoEntry: false });
      if (stat?.size === 0) rmSync(path, { force: true });
    },
  };
}

/** Of a job that goes on. */
export function resumedOutput(path: string): SeatedOutput {
  return seatedOutput(path, whatWasShown(readRecord(recordPath(path)), scriptOutput(STDOUT)));
}

/**
 * A file that was not there: holdfast-slurm-12.out, then holdfast-slurm-12-2.out, or holdfast-slurm-12_3.out of an array; beside the asked one, or in the working directory.
 * @throws HoldfastError INVALID_ARGUMENT when none can be made
 */
export async function newOutput(asked: string | undefined, job: string): Promise<SeatedOutput> {
  const directory = asked === undefined ? process.cwd() : dirname(resolve(asked));
  const { O_WRONLY, O_CREAT, O_EXCL, O_APPEND } = constants;
  for (let number = 1; ; number++) {
    const name = `holdfast-slurm-${job}${number > 1 ? `-${number}` : ''}.out`;
    const path = asked !== undefined && number === 1 ? resolve(asked) : join(directory, name);
    try {
      await (await open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND, 0o666)).close();
      return seatedOutput(path, { shownBytes: 0, doubt: Buffer.alloc(0) });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') continue;
      const message = `output file ${path} cannot be made: ${(error as Error).message}`;
      throw new HoldfastError(
        'INVALID_ARGUMENT',
        message,
        'name a file on storage that all nodes share with --output',
      );
    }
  }
}
