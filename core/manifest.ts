/** Where a generation's objects lie, and the manifest that makes it exist (invariants C1, C2). */
import { Manifest } from '../proto/gen/holdfast/v1/manifest';
import { HoldfastError } from './errors';
import { isJobId } from './ids';
import { checkManifest } from './manifest-check';

export const MANIFEST_FORMAT = 'holdfast-manifest';
export const MANIFEST_VERSION = 1;

/** All manifests of the store, apart from the much more numerous data objects. */
export const MANIFESTS_PREFIX = 'manifests/';

/** All objects of the job but its manifests. */
export function jobDataPrefix(job: string): string {
  return `jobs/${job}/data/`;
}

/** Every object of one attempt starts with it; no two attempts share it (C2). */
export function generationPrefix(job: string, generation: number, epoch: number): string {
  return `${jobDataPrefix(job)}${generation}-${epoch}`;
}

export function jobManifestsPrefix(job: string): string {
  return `${MANIFESTS_PREFIX}${job}/`;
}

/** The number is padded so that a listing is in order. */
export function manifestKey(job: string, generation: number): string {
  return `${jobManifestsPrefix(job)}${String(generation).padStart(10, '0')}.json`;
}

/** null for a key that is not a manifest's. */
export function parseManifestKey(key: string): { job: string; generation: number } | null {
  const match = /^manifests\/([^/]+)\/([0-9]{10})\.json$/.exec(key);
  const [, job = '', digits = ''] = match ?? [];
  return isJobId(job) ? { job, generation: Number(digits) } : null;
}

/** The job whose manifest or data it is; null for another kind of key. */
export function jobIdOf(key: string): string | null {
  const [kind, job = ''] = key.split('/');
  return (kind === 'manifests' || kind === 'jobs') && isJobId(job) ? job : null;
}

export function encodeManifest(manifest: Manifest): Buffer {
  return Buffer.from(`${JSON.stringify(Manifest.toJSON(manifest), null, 1)}\n`);
}

/**
 * @param source what the bytes were read from, for errors
 * @throws HoldfastError UNKNOWN_FORMAT (another format or a later version), CORRUPT (anything else wrong)
 */
export function decodeManifest(bytes: Uint8Array, source: string): Manifest {
  return manifestOf(parseJson(bytes, source), source);
}

/** @throws HoldfastError CORRUPT */
export function parseJson(bytes: Uint8Array, source: string): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (cause) {
    throw new HoldfastError('CORRUPT', `${source} is not JSON`, '', { cause });
  }
}

/**
 * The manifest that a JSON document is.
 * @throws HoldfastError as decodeManifest
 */
export function manifestOf(json: unknown, source: string): Manifest {
  if (typeof json !== 'object' || json === null) throw new HoldfastError('CORRUPT', `${source} is no object`);
  const { format, version } = json as { format?: unknown; version?: unknown };
  if (format !== MANIFEST_FORMAT || version !== MANIFEST_VERSION) {
    throw new HoldfastError(
      'UNKNOWN_FORMAT',
      `${source} is ${String(format)} version ${String(version)}, not ${MANIFEST_FORMAT} ${MANIFEST_VERSION}`,
      'read it with the release of Holdfast that wrote it',
    );
  }
  const manifest = parse(json, source);
  const problem = checkManifest(manifest);
  if (problem !== null) throw new HoldfastError('CORRUPT', `${source}: ${problem}`);
  return manifest;
}

function parse(json: object, source: string): Manifest {
  try {
    return Manifest.fromJSON(json);
  } catch (cause) {
    throw new HoldfastError('CORRUPT', `${source} is no manifest`, '', { cause });
  }
}
