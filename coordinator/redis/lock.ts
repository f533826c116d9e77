/** One coordinator per state directory. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { HoldfastError } from '../../core/errors';

export interface DirectoryLock {
  /** Children that are given this descriptor hold the lock as long as they live. */
  readonly fd: number;
  release(): void;
}

/** How long to wait for the processes of a coordinator that has just died. */
const WAIT_SECONDS = 3;
/** flock(1) exits with it when somebody else has the lock. */
const CONFLICT = 75;

/**
 * Takes the lock of a directory; WRONG_STATE names the process that has it. flock(2) belongs to the open file that
 * flock(1) inherits from us: the kernel releases it when the last process that has it open is gone, however it went.
 */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  const path = join(directory, 'lock');
  const fd = openSync(path, 'a+', 0o600);
  try {
    const status = await flock(fd);
    if (status === CONFLICT) {
      const owner = readFileSync(path, 'utf8').trim();
      throw new HoldfastError(
        'WRONG_STATE',
        `the state directory ${directory} is in use by another coordinator (process ${owner || 'unknown'})`,
        'stop that coordinator, or give this one a state directory of its own',
      );
    }
    if (status !== 0)
      throw new HoldfastError('INTERNAL', `cannot lock ${path}: flock ended with status ${status}`);
    ftruncateSync(fd);
    writeSync(fd, `${process.pid}\n`);
    return { fd, release: () => closeSync(fd) };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

async function flock(fd: number): Promise<unknown> {
  const options = [
    '--exclusive',
    '--timeout',
    String(WAIT_SECONDS),
    '--conflict-exit-code',
    String(CONFLICT),
  ];
  const child = spawn('flock', [...options, '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] });
  const [status] = await once(child, 'exit');
  return status;
}
