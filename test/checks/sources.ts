import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../native/paths';

export interface SourceFile {
  /** Path from the top of the checkout. */
  readonly path: string;
  readonly text: string;
}

const GENERATED = /^(proto\/gen\/|package-lock\.json$)/;

/** Every text file that is ours: known to git or about to be, written by hand. */
export function ownSources(): SourceFile[] {
  const listing = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  return execFileSync('git', listing, { cwd: PROJECT_ROOT, encoding: 'utf8' })
    .split('\0')
    .filter((path) => path !== '' && !GENERATED.test(path) && existsSync(join(PROJECT_ROOT, path)))
    .map((path) => ({ path, text: readFileSync(join(PROJECT_ROOT, path), 'utf8') }))
    .filter(({ text }) => !text.includes('\0'));
}

/** "path:line: text" of every line that matches. */
export function findLines(files: readonly SourceFile[], pattern: RegExp): string[] {
  return files.flatMap(({ path, text }) =>
    text
      .split('\n')
      .map((line, index) => ({ line, index }))
      .filter(({ line }) => pattern.test(line))
      .map(({ line, index }) => `${path}:${index + 1}: ${line.trim()}`),
  );
}
