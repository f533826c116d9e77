/** The root program a checkpoint was made with, at its recorded path, which names its content. */
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { HoldfastError } from '../../core/errors';
import type { RunDirectory } from '../runDirectory';

/** @throws CORRUPT when path and content do not belong together: nothing else may be written there. */
export function putRootProgram(directory: RunDirectory, path: string, program: Buffer): void {
  const hash = createHash('sha256').update(program).digest('hex');
  if (path !== join(directory.path, 'bin', hash, 'holdfast-root')) {
    throw new HoldfastError(
      'CORRUPT',
      `root program ${path} is not what its name says`,
      'use the same --run-dir on all nodes',
    );
  }
  if (existsSync(path)) return;
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  writeFileSync(`${path}.tmp`, program);
  chmodSync(`${path}.tmp`, 0o755);
  renameSync(`${path}.tmp`, path);
}
