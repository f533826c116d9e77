/** Compiles the programs of test/victims into a directory that all nodes see. */
import { execFileSync } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../native/paths';

export type Compiler = 'gcc' | 'mpicc.openmpi' | 'mpicc.mpich';

/** @returns the program's path */
export function compileVictim(name: string, directory: string, compiler: Compiler = 'gcc'): string {
  const program = join(directory, compiler === 'gcc' ? name : `${name}-${compiler.slice(6)}`);
  const source = join(PROJECT_ROOT, 'test', 'victims', `${name}.c`);
  execFileSync(compiler, ['-O2', '-Wall', '-Wextra', '-pthread', '-o', program, source]);
  chmodSync(program, 0o755);
  return program;
}
