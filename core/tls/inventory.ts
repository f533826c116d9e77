/** The certificates of a TLS directory, and how long they are good for. */
import { X509Certificate } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { isCertificateName, pemBlocks, readPem, tlsFiles } from './files';

/** Who must be warned before a certificate ends is warned so long before. */
export const WARN_DAYS = 30;
const DAY_MS = 86_400_000;

export type CertificateState = 'valid' | 'expires soon' | 'expired' | 'not yet valid';

export interface CertificateInfo {
  readonly name: string;
  readonly role: 'authority' | 'coordinator' | 'node' | 'unknown';
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly state: CertificateState;
  /** Common name of the authority that signed it. */
  readonly issuer: string;
  /** Signed by the authority that signs now; others must be replaced before a rotation is finished. */
  readonly current: boolean;
}

/** Pure. */
export function stateOf(notBeforeMs: number, notAfterMs: number, nowMs: number): CertificateState {
  if (nowMs < notBeforeMs) return 'not yet valid';
  if (nowMs > notAfterMs) return 'expired';
  return notAfterMs - nowMs < WARN_DAYS * DAY_MS ? 'expires soon' : 'valid';
}

const fieldOf = (distinguishedName: string, field: string): string =>
  new RegExp(`^${field}=(.*)$`, 'm').exec(distinguishedName)?.[1] ?? '';

/** The names that certificates of a directory are for. */
export async function certificateNames(directory: string): Promise<string[]> {
  const files = (await readdir(directory)).sort();
  return files.flatMap((file) => {
    const name = /^(.+)\.crt$/.exec(file)?.[1];
    return name !== undefined && isCertificateName(name) ? [name] : [];
  });
}

/** Authorities first, the one that signs now before the others. @throws HoldfastError INVALID_ARGUMENT */
export async function listCertificates(directory: string, nowMs = Date.now()): Promise<CertificateInfo[]> {
  const authorities = pemBlocks(await readPem(tlsFiles(directory, 'ca').certificate));
  const [current] = authorities.map((pem) => new X509Certificate(pem));
  const infoOf = (pem: string, role?: 'authority'): CertificateInfo => {
    const certificate = new X509Certificate(pem);
    const unit = fieldOf(certificate.subject, 'OU');
    const [notBeforeMs, notAfterMs] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
    return {
      name: fieldOf(certificate.subject, 'CN'),
      role: role ?? (unit === 'coordinator' || unit === 'node' ? unit : 'unknown'),
      ...{ notBeforeMs, notAfterMs, state: stateOf(notBeforeMs, notAfterMs, nowMs) },
      issuer: fieldOf(certificate.issuer, 'CN'),
      current: current !== undefined && certificate.verify(current.publicKey),
    };
  };
  const holders = (await certificateNames(directory)).map(async (name) =>
    infoOf(await readPem(tlsFiles(directory, name).certificate)),
  );
  return [...authorities.map((pem) => infoOf(pem, 'authority')), ...(await Promise.all(holders))];
}
