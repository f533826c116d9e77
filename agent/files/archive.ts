/**
 * Node-local files and image directories as tar streams. Files of a job are unpacked with the job's own uid, so a
 * hostile archive or a symbolic link planted in /tmp can reach nothing that the user could not reach.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { HoldfastError } from '../../core/errors';
import { toolEnvironment } from '../run';
import { localRootOf } from './localRoots';
import { asUser, type FileOwner } from './shared';

const COMPLAINTS = 3;

/** What a tool said first: that is the cause, or names it. tar complains once for every file. */
export function firstComplaints(stderr: string): string {
  const all = stderr.trim().split('\n');
  const more = all.length > COMPLAINTS ? `; and ${all.length - COMPLAINTS} more lines` : '';
  return all.slice(0, COMPLAINTS).join('; ') + more;
}

async function ended(child: ChildProcess, what: string, stderr: () => string): Promise<void> {
  const [code] = child.exitCode !== null ? [child.exitCode] : await once(child, 'close');
  if (code !== 0)
    throw new HoldfastError('INTERNAL', `${what} failed (${code}): ${firstComplaints(stderr())}`);
}

function collectStderr(child: ChildProcess): () => string {
  let text = '';
  child.stderr?.on('data', (data: Buffer) => {
    text += data.toString();
  });
  return () => text;
}

const TAR = ['--create', '--zstd', '--sparse', '--numeric-owner', '--no-recursion', '--null'];

/** The job is frozen while its files are read: a file system that gives nothing for so long hangs (F1). */
const SILENCE_MS = 60_000;

/** Chunks as they come. @throws TIMEOUT when none has come for so long */
async function* untilSilent(
  output: AsyncIterable<Buffer>,
  limitMs: number,
  what: string,
): AsyncGenerator<Buffer> {
  const chunks = output[Symbol.asyncIterator]();
  for (;;) {
    let timer: NodeJS.Timeout | undefined;
    const silence = new Promise<never>((_, reject) => {
      const late = () =>
        reject(new HoldfastError('TIMEOUT', `${what}: nothing came for ${limitMs / 1000} s`));
      timer = setTimeout(late, limitMs);
    });
    const next = await Promise.race([chunks.next(), silence]).finally(() => clearTimeout(timer));
    if (next.done) return;
    yield next.value;
  }
}

/**
 * Packs absolute paths into a file, reading them as the job's user: a path that was replaced by a symbolic link meanwhile
 * shows nothing that the user may not read. What vanished or may not be read is left out.
 * @throws TIMEOUT when the files cannot be read for long; also given up by the signal
 */
export async function packLocalFiles(
  archivePath: string,
  owner: FileOwner,
  paths: readonly string[],
  signal?: AbortSignal,
  silenceMs = SILENCE_MS,
): Promise<void> {
  const tar = ['tar', ...TAR, '--ignore-failed-read', '--warning=no-file-changed', '--file=-'];
  const args = [...asUser(owner), ...tar, '--directory', '/', '--files-from=-'];
  const child = spawn('setpriv', args, { stdio: ['pipe', 'pipe', 'pipe'], env: toolEnvironment() });
  const stderr = collectStderr(child);
  child.stdin.on('error', () => {}); // tar's exit code tells
  child.stdin.end(paths.map((path) => `${path.replace(/^\/+/, '')}\0`).join(''));
  const what = `packing ${paths.length} node-local paths`;
  const end = ended(child, what, stderr);
  end.catch(() => {}); // met below, unless there is a better reason
  const chunks = (output: AsyncIterable<Buffer>) => untilSilent(output, silenceMs, what);
  try {
    await pipeline(child.stdout, chunks, createWriteStream(archivePath, { mode: 0o600 }), { signal });
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
  await end;
}

/** A whole directory as a tar+zstd byte stream. */
export function packDirectory(directory: string): Readable {
  const child = spawn('tar', ['--create', '--zstd', '--directory', directory, '.'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: toolEnvironment(),
  });
  const stderr = collectStderr(child);
  child.on('close', (code) => {
    if (code !== 0)
      child.stdout.destroy(
        new HoldfastError('INTERNAL', `tar of ${directory} failed: ${firstComplaints(stderr())}`),
      );
  });
  return child.stdout;
}

/** Unpacks into a directory of our own, as root: the archive is CRIU's image directory. */
export async function unpackDirectory(archive: Readable, directory: string): Promise<void> {
  const args = ['--extract', '--zstd', '--no-same-owner', '--directory', directory];
  const child = spawn('tar', args, { stdio: ['pipe', 'ignore', 'pipe'], env: toolEnvironment() });
  const stderr = collectStderr(child);
  await Promise.all([pipeline(archive, child.stdin), ended(child, `unpacking into ${directory}`, stderr)]);
}

const pathsOf = (listing: string): string[] =>
  listing
    .split('\n')
    .filter(Boolean)
    .map((path) => `/${path}`.replace(/\/$/, ''));

/** Paths in an archive that lie outside every local root. */
export function uncontainedPaths(listing: string, localRoots: readonly string[]): string[] {
  return pathsOf(listing).filter(
    (path) => path.split('/').includes('..') || localRootOf(path, localRoots) === null,
  );
}

/**
 * Unpacks node-local files below the local roots, as the job's user.
 * @param record is told the paths before any of them is made
 */
export async function unpackLocalFiles(
  archivePath: string,
  owner: FileOwner,
  localRoots: readonly string[],
  record: (paths: string[]) => void,
): Promise<void> {
  const list = spawn('tar', ['--list', '--zstd', '--file', archivePath], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: toolEnvironment(),
  });
  const listError = collectStderr(list);
  let listing = '';
  list.stdout.on('data', (data: Buffer) => {
    listing += data.toString();
  });
  await ended(list, `listing ${archivePath}`, listError);
  const outside = uncontainedPaths(listing, localRoots);
  if (outside.length > 0) {
    throw new HoldfastError('CORRUPT', `the checkpoint's files reach outside the local roots: ${outside[0]}`);
  }
  record(pathsOf(listing));
  const extract = ['tar', '--extract', '--zstd', '--directory', '/', '--keep-directory-symlink'];
  // The archive comes over stdin: only root may read the file.
  const args = [...asUser(owner), ...extract, '--delay-directory-restore'];
  const child = spawn('setpriv', args, { stdio: ['pipe', 'ignore', 'pipe'], env: toolEnvironment() });
  const stderr = collectStderr(child);
  await Promise.all([
    pipeline(createReadStream(archivePath), child.stdin),
    ended(child, `putting back files of uid ${owner.uid}`, stderr),
  ]);
}
