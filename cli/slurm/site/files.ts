/** The files of a site's Slurm: those that are configured, and those of ours. */
import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { HoldfastError } from '../../../core/errors';
import { type SlurmConfiguration, settingOf } from '../../../core/slurm/configuration';
import { nativePath, PROJECT_ROOT } from '../../../native/paths';
import type { InstalledHooks } from './checks';

const HOOKS = [
  ...(['prolog', 'epilog', 'task-prolog', 'task-epilog'] as const),
  ...(['prolog-slurmctld', 'epilog-slurmctld'] as const),
];
const HOOK_PROGRAM = 'holdfast-slurm-hook';
const PLUGIN = 'holdfast-spank.so';
export const DEFAULT_DIRECTORY = '/usr/lib/holdfast/slurm';

const textOf = (path: string): string => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
};

export function installedHooks(configuration: SlurmConfiguration): InstalledHooks {
  const stack = settingOf(configuration, 'PlugStackConfig');
  return {
    isOurs: (path) => path !== '' && textOf(path).includes(HOOK_PROGRAM),
    plugStack: withIncludes(stack || '/etc/slurm/plugstack.conf'),
  };
}

/** One level deep, as it is used. */
function withIncludes(path: string): string {
  const text = textOf(path);
  const included = [...text.matchAll(/^\s*include\s+(\S+)/gm)].flatMap(([, pattern = '']) =>
    filesLike(isAbsolute(pattern) ? pattern : join(dirname(path), pattern)),
  );
  return [text, ...included.map(textOf)].join('\n');
}

/** With * in the name only, as Slurm's own packages have it. */
function filesLike(pattern: string): string[] {
  const parts = basename(pattern).split('*');
  const quoted = parts.map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  const name = new RegExp(`^${quoted.join('.*')}$`);
  try {
    const directory = dirname(pattern);
    return readdirSync(directory)
      .filter((entry) => name.test(entry))
      .map((entry) => join(directory, entry));
  } catch {
    return [];
  }
}

/**
 * Copies everything that Slurm's daemons and commands need; what is there is replaced.
 * @returns the names
 * @throws HoldfastError INVALID_ARGUMENT, PERMISSION_DENIED
 */
export function installFiles(directory: string): string[] {
  const sources = [
    ...HOOKS.map((name) => [name, join(PROJECT_ROOT, 'deploy', 'slurm', name)] as const),
    ...[HOOK_PROGRAM, PLUGIN].map((name) => [name, nativePath(name)] as const),
  ];
  if (!isAbsolute(directory))
    throw new HoldfastError('INVALID_ARGUMENT', `${directory} is not an absolute path`, 'Slurm needs one');
  try {
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    for (const [name, source] of sources) {
      copyFileSync(source, join(directory, name));
      chmodSync(join(directory, name), 0o755);
    }
  } catch (thrown) {
    const { code, message } = thrown as NodeJS.ErrnoException;
    const kind = code === 'EACCES' || code === 'EPERM' ? 'PERMISSION_DENIED' : 'INVALID_ARGUMENT';
    throw new HoldfastError(kind, `not installed in ${directory}: ${message}`, 'see --to, and be root');
  }
  return sources.map(([name]) => name);
}
