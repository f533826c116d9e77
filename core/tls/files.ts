/** The layout of a TLS directory: ca.crt, ca.key, NAME.crt, NAME.key; each of mode 0600. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HoldfastError } from '../errors';

export interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
}

export function tlsFiles(directory: string, name: string): TlsFiles {
  return { certificate: join(directory, `${name}.crt`), key: join(directory, `${name}.key`) };
}

/** @throws HoldfastError INVALID_ARGUMENT naming the file */
export async function readPem(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new HoldfastError(
      'INVALID_ARGUMENT',
      `cannot read ${path}: ${reason}`,
      'create it with `holdfast ca issue`, or name another TLS directory',
      { cause },
    );
  }
}

/** Never replaces a file: a key that is in use elsewhere would be lost. */
export async function writePem(path: string, pem: string): Promise<void> {
  try {
    await writeFile(path, `${pem.trim()}\n`, { mode: 0o600, flag: 'wx' });
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new HoldfastError('WRONG_STATE', `cannot create ${path}: ${reason}`, 'remove it first', { cause });
  }
}
