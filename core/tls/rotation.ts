/**
 * A new authority in the place of the old one. In between both are trusted, and the old one vouches for the new one:
 * whichever file a machine gets first, it accepts all others and is accepted by them.
 */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { X509Certificate } from '@peculiar/x509';
import { HoldfastError } from '../errors';
import { issuerOf } from './authority';
import { linkFile, pemBlocks, readPem, replacePem, revocationFile, tlsFiles } from './files';
import { certificateNames } from './inventory';
import { holderOf, makeAuthority, makeCertificate, vouchFor } from './make';
import { finishLists, successorLists } from './revocation';
import { completeRotation, stage } from './stage';

/**
 * Makes a new authority, and new keys and certificates for every name in the directory.
 * @returns the files to distribute
 * @throws HoldfastError WRONG_STATE when a rotation has begun and is not finished
 */
export async function rotateAuthority(directory: string, nowMs = Date.now()): Promise<string[]> {
  await completeRotation(directory);
  const bundle = await readPem(tlsFiles(directory, 'ca').certificate);
  if (pemBlocks(bundle).length > 1) {
    throw new HoldfastError(
      'WRONG_STATE',
      `${directory} is in the middle of a rotation`,
      'distribute the files, then end it with `holdfast ca rotate --finish`',
    );
  }
  const old = await issuerOf(directory);
  const next = await makeAuthority(successorOf(old.certificate), nowMs);
  const link = await vouchFor(next, old);
  const made = new Map([['ca.crt', `${next.certificatePem}${bundle}`]]);
  made.set('ca-link.crt', link);
  const names = await certificateNames(directory);
  for (const name of names) {
    const holder = holderOf(await readPem(tlsFiles(directory, name).certificate));
    const { certificatePem, keyPem } = await makeCertificate({ ...holder, name }, next, nowMs);
    made.set(`${name}.key`, keyPem).set(`${name}.crt`, `${certificatePem}${link}`);
  }
  const lists = await successorLists(directory, next, nowMs);
  if (lists !== null) made.set('ca.crl', lists);
  await stage(directory, made.set('ca.key', next.keyPem));
  await completeRotation(directory);
  const shared = lists === null ? ['ca.crt'] : ['ca.crt', 'ca.crl'];
  return [...shared, ...names.flatMap((name) => [`${name}.crt`, `${name}.key`])].map((file) =>
    join(directory, file),
  );
}

/**
 * Ends the trust in the old authority.
 * @returns the files to distribute
 * @throws HoldfastError WRONG_STATE when no rotation has begun
 */
export async function finishRotation(directory: string, nowMs = Date.now()): Promise<string[]> {
  await completeRotation(directory);
  const { certificate } = tlsFiles(directory, 'ca');
  const [current = '', ...older] = pemBlocks(await readPem(certificate));
  if (older.length === 0) {
    throw new HoldfastError(
      'WRONG_STATE',
      `no rotation has begun in ${directory}`,
      'begin one without --finish',
    );
  }
  // Before it: a list that nobody who is trusted has signed would be none.
  await finishLists(directory, nowMs);
  await replacePem(certificate, current);
  await rm(linkFile(directory), { force: true });
  const list = revocationFile(directory);
  return existsSync(list) ? [certificate, list] : [certificate];
}

/** `holdfast authority`, `holdfast authority 2`, … Pure. */
function successorOf(certificate: X509Certificate): string {
  const [, name, number = '1'] =
    /CN=([A-Za-z0-9._-]+ authority)(?: ([0-9]+))?/.exec(certificate.subject) ?? [];
  if (name === undefined) {
    throw new HoldfastError('INVALID_ARGUMENT', `the authority is called ${certificate.subject}`);
  }
  return `CN=${name} ${Number(number) + 1}, O=holdfast`;
}
