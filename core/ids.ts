/**
 * Names that appear in object keys, Redis keys and paths. Each is checked where it enters the program, so
 * that nothing behind the check has to wonder what a name may contain.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { HoldfastError } from './errors';

// Crockford's alphabet in lower case: it sorts like the number and has no letters that look like digits.
const BASE32 = '0123456789abcdefghjkmnpqrstvwxyz';

function base32(value: number, digits: number): string {
  let text = '';
  for (let rest = value, i = 0; i < digits; i++, rest = Math.floor(rest / 32)) {
    text = BASE32.charAt(rest % 32) + text;
  }
  return text;
}

function randomBase32(digits: number): string {
  let text = '';
  for (const byte of randomBytes(digits)) text += BASE32.charAt(byte % 32);
  return text;
}

/** `j-` + 7 digits of time (seconds, in order until 2108 and beyond) + 5 random digits. */
export function newJobId(nowMs: number): string {
  return `j-${base32(Math.floor(nowMs / 1000), 7)}${randomBase32(5)}`;
}

/** Like a job's id, for one checkpoint or restart. */
export function newOperationId(nowMs: number): string {
  return `o-${base32(Math.floor(nowMs / 1000), 7)}${randomBase32(5)}`;
}

/** Made for every node in every phase: Node draws UUIDs from a stock. */
export function newCommandId(): string {
  return randomUUID();
}

export function isJobId(text: string): boolean {
  return /^j-[0-9a-z]{12}$/.test(text);
}

export function isOperationId(text: string): boolean {
  return /^o-[0-9a-z]{12}$/.test(text);
}

/** A node's name is a host name: it becomes part of object keys. */
export function isNodeName(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(text) && !text.includes('..');
}

/** `main`, or `m` and a number. */
export function isTreeId(text: string): boolean {
  return /^(main|m[1-9][0-9]{0,8})$/.test(text);
}

/** @throws HoldfastError INVALID_ARGUMENT naming what was expected */
export function requireName(kind: string, text: string, isValid: (text: string) => boolean): string {
  if (isValid(text)) return text;
  throw new HoldfastError('INVALID_ARGUMENT', `not a valid ${kind}: ${JSON.stringify(text.slice(0, 80))}`);
}
