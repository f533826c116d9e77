import { webcrypto } from 'node:crypto';
import { HoldfastError } from '../core/errors';

/** Lower-case hex SHA-256, computed in the thread pool so that the event loop stays free. */
export async function sha256Hex(bytes: Uint8Array): Promise<string> {
  return Buffer.from(await webcrypto.subtle.digest('SHA-256', bytes)).toString('hex');
}

/** Throws CORRUPT, naming what holds the bytes, unless they have the checksum. */
export async function checkSha256(bytes: Uint8Array, expected: string, what: string): Promise<void> {
  const found = await sha256Hex(bytes);
  if (found === expected) return;
  throw new HoldfastError(
    'CORRUPT',
    `${what} has SHA-256 ${found}, expected ${expected}`,
    'the bytes were changed after they were made; use another generation and check the storage',
  );
}
