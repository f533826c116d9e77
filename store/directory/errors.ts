/** File system errors as store errors. Pure. */
import { HoldfastError } from '../../core/errors';

/** What a lookup of an object meets when there is none: also a key part that is a file or a directory. */
const MISSING = new Set(['ENOENT', 'ENOTDIR', 'EISDIR']);
/** The last two: the store's path leads through a file. */
const REFUSED = new Set(['EACCES', 'EPERM', 'EROFS', 'EEXIST', 'ENOTDIR']);
const FULL = new Set(['ENOSPC', 'EDQUOT']);
/** A write whose key lies on or below another object's key. */
const CONFLICT = new Set(['EISDIR', 'ENOTDIR', 'EEXIST', 'ENOTEMPTY']);

export function errnoOf(thrown: unknown): string {
  const code = typeof thrown === 'object' && thrown !== null && 'code' in thrown ? thrown.code : undefined;
  return typeof code === 'string' ? code : '';
}

function messageOf(thrown: unknown): string {
  const known = typeof thrown === 'object' && thrown !== null && 'message' in thrown;
  return String(known ? thrown.message : thrown);
}

export const isMissing = (thrown: unknown): boolean => MISSING.has(errnoOf(thrown));

/** @param what the operation and its object, such as "reading jobs/7/manifest.json of file:///ckpt" */
export function readError(thrown: unknown, what: string): HoldfastError {
  if (isMissing(thrown)) {
    return new HoldfastError('OBJECT_MISSING', `${what}: there is no such object`, '', { cause: thrown });
  }
  return generalError(thrown, what);
}

export function writeError(thrown: unknown, what: string): HoldfastError {
  if (CONFLICT.has(errnoOf(thrown))) {
    const remedy = 'no object key may be a directory of another one; use another key';
    return new HoldfastError('STORE_REFUSED', `${what}: the key collides with another object's`, remedy, {
      cause: thrown,
    });
  }
  return generalError(thrown, what);
}

/** An error that has nothing to do with one object. */
export function generalError(thrown: unknown, what: string): HoldfastError {
  if (thrown instanceof HoldfastError) return thrown;
  const errno = errnoOf(thrown);
  const message = `${what} failed: ${messageOf(thrown)}`;
  if (REFUSED.has(errno)) {
    return new HoldfastError(
      'STORE_REFUSED',
      message,
      'give the path of a directory that this user owns and may write',
      {
        cause: thrown,
      },
    );
  }
  const remedy = FULL.has(errno)
    ? 'free space or raise the quota'
    : 'check that the file system is mounted and healthy';
  return new HoldfastError('STORE_UNAVAILABLE', message, remedy, { cause: thrown });
}
