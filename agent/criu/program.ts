/** Which CRIU runs here, and the native programs around it. */
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { HoldfastError } from '../../core/errors';
import { nativePath } from '../../native/paths';
import { runTool } from '../run';

export const MINIMUM_CRIU = [4, 2] as const;
const PREFIX_CRIU = '/opt/holdfast/criu/bin/criu';

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The version as numbers, or null when the program does not tell one. */
export function parseCriuVersion(text: string): number[] | null {
  const match = /Version:\s*(\d+)\.(\d+)(?:\.(\d+))?/.exec(text);
  return match ? match.slice(1).map((part) => Number(part ?? 0)) : null;
}

export function isUsableVersion(version: readonly number[]): boolean {
  const [major = 0, minor = 0] = version;
  return major > MINIMUM_CRIU[0] || (major === MINIMUM_CRIU[0] && minor >= MINIMUM_CRIU[1]);
}

export interface Criu {
  readonly path: string;
  readonly version: string;
}

/** Tries the configured path, HOLDFAST_CRIU, PATH and our prefix, in this order. */
export async function findCriu(configured?: string): Promise<Criu> {
  const explicit = configured ?? process.env.HOLDFAST_CRIU;
  const candidates = explicit
    ? [explicit]
    : [...(process.env.PATH ?? '').split(delimiter).map((directory) => join(directory, 'criu')), PREFIX_CRIU];
  const seen: string[] = [];
  for (const path of candidates.filter(isExecutable)) {
    const { stdout } = await runTool(path, ['--version']);
    const version = parseCriuVersion(stdout);
    seen.push(`${path} (${version?.join('.') ?? 'no version'})`);
    if (version && isUsableVersion(version)) return { path, version: version.join('.') };
  }
  throw new HoldfastError(
    'CRIU_UNUSABLE',
    `no CRIU >= ${MINIMUM_CRIU.join('.')} found; looked at: ${seen.join(', ') || candidates.join(', ')}`,
    'run deploy/bootstrap, or set HOLDFAST_CRIU=/path/to/criu',
  );
}

/** One of the programs built by native/: holdfast-cell, holdfast-hold, holdfast-root, holdfast-preload.so. */
export function nativeProgram(name: string): string {
  const path = nativePath(name);
  if (!existsSync(path)) {
    throw new HoldfastError('INTERNAL', `${path} is not built`, 'run npm run build:native');
  }
  return path;
}
