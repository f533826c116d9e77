/** Keys and certificates, in memory. */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  cryptoProvider,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type GeneralNameType,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { HoldfastError } from '../errors';
import type { TlsRole } from './peer';

export const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const AUTHORITY_DAYS = 3650;

cryptoProvider.set(webcrypto);

export interface Issuer {
  readonly certificate: X509Certificate;
  readonly key: webcrypto.CryptoKey;
}

export interface Made {
  readonly certificatePem: string;
  readonly keyPem: string;
}

export interface Authority extends Issuer, Made {
  readonly keys: webcrypto.CryptoKeyPair;
}

/** One whose word nobody vouches for. @param subject its distinguished name */
export async function makeAuthority(subject: string, nowMs: number): Promise<Authority> {
  const keys = await newKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: subject,
    keys,
    signingAlgorithm: ALGORITHM,
    ...validity(AUTHORITY_DAYS, nowMs),
    extensions: await authorityExtensions(keys.publicKey, keys.publicKey),
  });
  const keyPem = await exportKey(keys.privateKey);
  return { certificate, key: keys.privateKey, keys, keyPem, certificatePem: pemOf(certificate) };
}

/** The same authority, vouched for by another: who trusts only that one trusts this one, too. */
export async function vouchFor(authority: Authority, issuer: Issuer): Promise<string> {
  const { subject, notBefore } = authority.certificate;
  const notAfter = new Date(
    Math.min(authority.certificate.notAfter.getTime(), issuer.certificate.notAfter.getTime()),
  );
  const certificate = await X509CertificateGenerator.create({
    ...{ subject, notBefore, notAfter },
    issuer: issuer.certificate.subject,
    publicKey: authority.keys.publicKey,
    signingKey: issuer.key,
    signingAlgorithm: ALGORITHM,
    extensions: await authorityExtensions(authority.keys.publicKey, issuer.certificate.publicKey),
  });
  return pemOf(certificate);
}

export interface Holder {
  readonly name: string;
  readonly role: TlsRole;
  /** Host names and addresses clients reach it by; the name itself is always included. */
  readonly hosts: readonly string[];
  readonly days: number;
}

export async function makeCertificate(
  { name, role, hosts, days }: Holder,
  issuer: Issuer,
  nowMs: number,
): Promise<Made> {
  const keys = await newKeys();
  // A node's certificate is no server certificate: no node can pose as the coordinator.
  const usages =
    role === 'coordinator'
      ? [ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]
      : [ExtendedKeyUsage.clientAuth];
  const certificate = await X509CertificateGenerator.create({
    subject: `CN=${name}, OU=${role}, O=holdfast`,
    issuer: issuer.certificate.subject,
    publicKey: keys.publicKey,
    signingKey: issuer.key,
    signingAlgorithm: ALGORITHM,
    ...validity(days, nowMs),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension(usages, true),
      new SubjectAlternativeNameExtension(alternativeNames([name, ...hosts])),
      await AuthorityKeyIdentifierExtension.create(issuer.certificate.publicKey),
    ],
  });
  return { certificatePem: pemOf(certificate), keyPem: await exportKey(keys.privateKey) };
}

/** @param keyPath for the message. @throws HoldfastError INVALID_ARGUMENT */
export async function openIssuer(certificatePem: string, keyPem: string, keyPath: string): Promise<Issuer> {
  const [der] = PemConverter.decode(keyPem);
  if (der === undefined) throw new HoldfastError('INVALID_ARGUMENT', `${keyPath} holds no key`);
  const key = await webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign']);
  return { certificate: new X509Certificate(certificatePem), key };
}

/** One level below it, for the time in which it vouches for its successor. */
async function authorityExtensions(
  own: webcrypto.CryptoKey,
  issuer: Parameters<typeof AuthorityKeyIdentifierExtension.create>[0],
) {
  return [
    new BasicConstraintsExtension(true, 1, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    await SubjectKeyIdentifierExtension.create(own),
    await AuthorityKeyIdentifierExtension.create(issuer as never),
  ];
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  return `${PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY').trim()}\n`;
}

const pemOf = (certificate: X509Certificate): string => `${certificate.toString('pem').trim()}\n`;

/** An hour back, since the clocks of a cluster differ. */
function validity(days: number, nowMs: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(nowMs - 3_600_000), notAfter: new Date(nowMs + days * 86_400_000) };
}

function alternativeNames(hosts: readonly string[]): { type: GeneralNameType; value: string }[] {
  return [...new Set(hosts)].map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value }));
}

/** What a certificate was issued for. */
export function holderOf(pem: string): Holder {
  const certificate = new X509Certificate(pem);
  const field = (name: string) => certificate.subjectName.getField(name)[0] ?? '';
  const names = certificate.getExtension(SubjectAlternativeNameExtension)?.names.items ?? [];
  const { notBefore, notAfter } = certificate;
  return {
    name: field('CN'),
    role: field('OU') === 'coordinator' ? 'coordinator' : 'node',
    hosts: names.map(({ value }) => value),
    days: Math.round((notAfter.getTime() - notBefore.getTime() - 3_600_000) / 86_400_000),
  };
}
