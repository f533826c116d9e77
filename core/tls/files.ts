/** The layout of a TLS directory: ca.crt, ca.key, NAME.crt, NAME.key; keys are for their owner only. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HoldfastError } from '../errors';
import { isNodeName } from '../ids';

/** Where a cluster's certificates are unless somebody says otherwise. */
export const TLS_DIRECTORY = '/etc/holdfast/tls';

export interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
}

export function tlsFiles(directory: string, name: string): TlsFiles {
  return { certificate: join(directory, `${name}.crt`), key: join(directory, `${name}.key`) };
}

/** Not one of the authority's own. */
export const isCertificateName = (text: string): boolean => isNodeName(text) && !/^ca(-link)?$/.test(text);

/** During a rotation: the new authority as the old one vouches for it. Each new certificate has it behind itself. */
export function linkFile(directory: string): string {
  return join(directory, 'ca-link.crt');
}

/** Certificates that are refused, as the authority says; absent: none is. */
export function revocationFile(directory: string): string {
  return join(directory, 'ca.crl');
}

export const modeOf = (path: string): number => (path.endsWith('.key') ? 0o600 : 0o644);

/** @throws HoldfastError INVALID_ARGUMENT naming the file */
export async function readPem(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new HoldfastError(
      'INVALID_ARGUMENT',
      `cannot read ${path}: ${reason}`,
      'create it with `holdfast ca init` or `holdfast ca issue`, or name another TLS directory',
      { cause },
    );
  }
}

/** Never replaces a file: a key that is in use elsewhere would be lost. */
export async function writePem(path: string, pem: string): Promise<void> {
  try {
    await writeFile(path, pem, { mode: modeOf(path), flag: 'wx' });
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new HoldfastError('WRONG_STATE', `cannot create ${path}: ${reason}`, 'remove it first', { cause });
  }
}

/** Readers see the file of before or the new one. */
export async function replacePem(path: string, pem: string): Promise<void> {
  const next = `${path}.new`;
  await writeFile(next, pem, { mode: modeOf(path) });
  await rename(next, path);
}

/** The certificates of a file, in their order. */
export function pemBlocks(text: string): string[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => `${block}\n`);
}
