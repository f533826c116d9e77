/** The cluster's own certificate authority: who may be the coordinator, and who may be which node. */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { HoldfastError } from '../errors';
import { isNodeName, requireName } from '../ids';
import { isCertificateName, linkFile, pemBlocks, readPem, tlsFiles, writePem } from './files';
import { type Holder, type Issuer, makeAuthority, makeCertificate, openIssuer } from './make';
import { completeRotation } from './stage';

export interface CertificateRequest extends Pick<Holder, 'name' | 'role'> {
  readonly hosts?: readonly string[];
  readonly days?: number;
}

const CERTIFICATE_DAYS = 825;

/** Creates DIRECTORY/ca.crt and ca.key. @throws HoldfastError WRONG_STATE when they exist */
export async function issueAuthority(
  directory: string,
  clusterName = 'holdfast',
  nowMs = Date.now(),
): Promise<void> {
  requireName('cluster name', clusterName, isNodeName);
  await mkdir(directory, { recursive: true, mode: 0o755 });
  const { keyPem, certificatePem } = await makeAuthority(`CN=${clusterName} authority, O=holdfast`, nowMs);
  const files = tlsFiles(directory, 'ca');
  await writePem(files.key, keyPem);
  await writePem(files.certificate, certificatePem);
}

/** Creates DIRECTORY/NAME.crt and NAME.key, signed by DIRECTORY/ca.key. */
export async function issueCertificate(
  directory: string,
  request: CertificateRequest,
  nowMs = Date.now(),
): Promise<void> {
  const { role, hosts = [], days = CERTIFICATE_DAYS } = request;
  const name = requireName('certificate name', request.name, isCertificateName);
  await completeRotation(directory);
  const { certificatePem, keyPem } = await makeCertificate(
    { name, role, hosts, days },
    await issuerOf(directory),
    nowMs,
  );
  const link = existsSync(linkFile(directory)) ? await readPem(linkFile(directory)) : '';
  const files = tlsFiles(directory, name);
  await writePem(files.key, keyPem);
  await writePem(files.certificate, `${certificatePem}${link}`);
}

/** The authority that signs now: the first one of ca.crt. */
export async function issuerOf(directory: string): Promise<Issuer> {
  const authority = tlsFiles(directory, 'ca');
  const [pem] = pemBlocks(await readPem(authority.certificate));
  if (pem === undefined) {
    throw new HoldfastError('INVALID_ARGUMENT', `${authority.certificate} holds no certificate`);
  }
  return openIssuer(pem, await readPem(authority.key), authority.key);
}
