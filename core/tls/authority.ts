/** The cluster's own certificate authority: who may be the coordinator, and who may be which node. */
import 'reflect-metadata';
import { X509Certificate as NodeCertificate, webcrypto } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { isIP } from 'node:net';
import {
  BasicConstraintsExtension,
  cryptoProvider,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type GeneralNameType,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { HoldfastError } from '../errors';
import { isNodeName, requireName } from '../ids';
import { readPem, tlsFiles, writePem } from './files';

/** In the certificate's OU: what the holder may do. */
export type TlsRole = 'coordinator' | 'node';

export interface CertificateRequest {
  /** Common name: the node's name, or any name for a coordinator. */
  readonly name: string;
  readonly role: TlsRole;
  /** Host names and IP addresses clients reach it by; the name itself is always included. */
  readonly hosts?: readonly string[];
  readonly days?: number;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const AUTHORITY_DAYS = 3650;
const CERTIFICATE_DAYS = 825;

cryptoProvider.set(webcrypto);

/** Creates DIRECTORY/ca.crt and ca.key. @throws HoldfastError WRONG_STATE when they exist */
export async function issueAuthority(directory: string, clusterName = 'holdfast'): Promise<void> {
  requireName('cluster name', clusterName, isNodeName);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const keys = await newKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: `CN=${clusterName} authority, O=holdfast`,
    keys,
    signingAlgorithm: ALGORITHM,
    ...validity(AUTHORITY_DAYS),
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    ],
  });
  const files = tlsFiles(directory, 'ca');
  await writePem(files.key, await exportKey(keys.privateKey));
  await writePem(files.certificate, certificate.toString('pem'));
}

/** Creates DIRECTORY/NAME.crt and NAME.key, signed by DIRECTORY/ca.key. */
export async function issueCertificate(directory: string, request: CertificateRequest): Promise<void> {
  const name = requireName('certificate name', request.name, (text) => isNodeName(text) && text !== 'ca');
  const authority = tlsFiles(directory, 'ca');
  const issuer = new X509Certificate(await readPem(authority.certificate));
  const signingKey = await importKey(await readPem(authority.key), authority.key);
  const keys = await newKeys();
  // A node's certificate is no server certificate: no node can pose as the coordinator.
  const usages =
    request.role === 'coordinator'
      ? [ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]
      : [ExtendedKeyUsage.clientAuth];
  const certificate = await X509CertificateGenerator.create({
    subject: `CN=${name}, OU=${request.role}, O=holdfast`,
    issuer: issuer.subject,
    publicKey: keys.publicKey,
    signingKey,
    signingAlgorithm: ALGORITHM,
    ...validity(request.days ?? CERTIFICATE_DAYS),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension(usages, true),
      new SubjectAlternativeNameExtension(alternativeNames([name, ...(request.hosts ?? [])])),
    ],
  });
  const files = tlsFiles(directory, name);
  await writePem(files.key, await exportKey(keys.privateKey));
  await writePem(files.certificate, certificate.toString('pem'));
}

/** When a certificate file ends to be valid. */
export function expiryOf(pem: string): Date {
  return new Date(new NodeCertificate(pem).validTo);
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  return PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');
}

async function importKey(pem: string, path: string): Promise<webcrypto.CryptoKey> {
  const [der] = PemConverter.decode(pem);
  if (der === undefined) throw new HoldfastError('INVALID_ARGUMENT', `${path} holds no key`);
  return webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign']);
}

/** An hour back, since the clocks of a cluster differ. */
function validity(days: number): { notBefore: Date; notAfter: Date } {
  const nowMs = Date.now();
  return { notBefore: new Date(nowMs - 3_600_000), notAfter: new Date(nowMs + days * 86_400_000) };
}

function alternativeNames(hosts: readonly string[]): { type: GeneralNameType; value: string }[] {
  return [...new Set(hosts)].map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value }));
}
