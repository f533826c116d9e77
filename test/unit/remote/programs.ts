/** Builds the programs that look at, or suffer from, native/remote. */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../../native/paths';

const REMOTE = join(PROJECT_ROOT, 'native', 'remote');

/**
 * Compiles test/victims/NAME.c together with native/remote; returns the program's path.
 * @param wrapped functions for which NAME.c has a __wrap_
 */
export function compileWithRemote(name: string, directory: string, wrapped: readonly string[] = []): string {
  const program = join(directory, name);
  const source = join(PROJECT_ROOT, 'test', 'victims', `${name}.c`);
  const parts = readdirSync(REMOTE).filter((file) => file.endsWith('.c'));
  const flags = [
    '-std=gnu11',
    '-D_GNU_SOURCE',
    '-O2',
    '-Wall',
    '-Wextra',
    '-Werror',
    '-pthread',
    `-I${REMOTE}`,
    ...wrapped.map((symbol) => `-Wl,--wrap=${symbol}`),
  ];
  execFileSync('gcc', [...flags, '-o', program, source, ...parts.map((file) => join(REMOTE, file))]);
  return program;
}
