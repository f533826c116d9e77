/** Where the native build puts its results, seen from the sources as well as from dist/. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

function projectRoot(): string {
  let directory = __dirname;
  while (!existsSync(join(directory, 'package.json'))) {
    const parent = dirname(directory);
    if (parent === directory) throw new Error(`no package.json above ${__dirname}`);
    directory = parent;
  }
  return directory;
}

export const PROJECT_ROOT = projectRoot();

/** Absolute path of a native build result; it need not exist. */
export function nativePath(name: string): string {
  return join(PROJECT_ROOT, 'native', 'build', 'Release', name);
}
