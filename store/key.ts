/** The rule for object keys, checked once for every driver. Pure. */
import { HoldfastError } from '../core/errors';

const MAX_KEY_BYTES = 512;
/** Leaves room below the 255 bytes that file systems give a name. */
const MAX_PART_BYTES = 240;
const PART = /^[A-Za-z0-9._-]+$/;
const REMEDY = `a key is '/'-separated parts of [A-Za-z0-9._-], none of them '.' or '..', at most ${MAX_KEY_BYTES} bytes`;

/** Returns the key, or throws INVALID_ARGUMENT. A valid key stays below any directory it is joined to. */
export function checkKey(key: string): string {
  if (!isKey(key)) throw badKey('object key', key);
  return key;
}

export function isKey(text: string): boolean {
  return text.length <= MAX_KEY_BYTES && text.split('/').every(isKeyPart);
}

/**
 * Splits a listing prefix into its complete parts, which are checked like a key's, and the beginning of a part
 * that follows them: 'jobs/7/gen' → { directory: ['jobs', '7'], rest: 'gen' }.
 */
export function checkPrefix(prefix: string): { directory: string[]; rest: string } {
  const directory = prefix.split('/');
  const rest = directory.pop() ?? '';
  const valid = directory.every(isKeyPart) && (rest === '' || PART.test(rest));
  if (prefix.length > MAX_KEY_BYTES || !valid) throw badKey('key prefix', prefix);
  return { directory, rest };
}

/** Whether the text may stand between two slashes of a key. */
export function isKeyPart(part: string): boolean {
  return PART.test(part) && part.length <= MAX_PART_BYTES && part !== '.' && part !== '..';
}

function badKey(kind: string, received: string): HoldfastError {
  return new HoldfastError('INVALID_ARGUMENT', `not a valid ${kind}: ${JSON.stringify(received)}`, REMEDY);
}
