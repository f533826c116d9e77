/**
 * Certificates that are refused although their time has not ended: DIRECTORY/ca.crl, lists that authorities have signed, one
 * after the other (during a rotation there are two).
 */
import 'reflect-metadata';
import { X509Certificate as NodeCertificate, webcrypto } from 'node:crypto';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { cryptoProvider, PemConverter, X509Certificate, X509Crl, X509CrlGenerator } from '@peculiar/x509';
import { HoldfastError } from '../errors';
import { issuerOf } from './authority';
import { isCertificateName, pemBlocks, readPem, replacePem, revocationFile, tlsFiles } from './files';
import { certificateNames } from './inventory';
import { ALGORITHM, type Issuer } from './make';
import { serialOf } from './serial';
import { completeRotation } from './stage';

cryptoProvider.set(webcrypto);

/** Nobody waits for the next one; without a date the library takes a list for an empty one. */
const LIST_DAYS = 3650;

export interface Revoked {
  /** Lower-case hex without leading zeros. */
  readonly serial: string;
  readonly revokedMs: number;
}

/**
 * What the lists of these authorities say; lists of others are passed over.
 * @param authorities PEM, one or more
 * @throws HoldfastError INVALID_ARGUMENT when none is there that one of them has signed
 */
export async function revokedBy(text: string, authorities: string, path: string): Promise<Revoked[]> {
  const keys = pemBlocks(authorities).map((pem) => new X509Certificate(pem));
  const lists = parse(text, path);
  const valid: X509Crl[] = [];
  for (const list of lists)
    for (const publicKey of keys) if (await list.verify({ publicKey }).catch(() => false)) valid.push(list);
  if (valid.length === 0) {
    throw new HoldfastError(
      'INVALID_ARGUMENT',
      `${path} holds no list that an authority of ca.crt has signed`,
      'copy it again, with ca.crt, from where certificates are issued',
    );
  }
  const all = valid
    .flatMap((list) => list.entries)
    .map(({ serialNumber, revocationDate }) => {
      return { serial: serialOf(serialNumber), revokedMs: revocationDate.getTime() };
    });
  return [...new Map(all.map((entry) => [entry.serial, entry])).values()];
}

/**
 * Adds a certificate to the list; its files, which are of no use any more, are removed from the directory.
 * @param which the name of a certificate of the directory, or a serial number
 * @returns the serial number, and the file to distribute
 * @throws HoldfastError NOT_FOUND for a name that has no certificate here and is no serial number
 */
export async function revokeCertificate(
  directory: string,
  which: string,
  nowMs = Date.now(),
): Promise<{ serial: string; file: string }> {
  await completeRotation(directory);
  const issuer = await issuerOf(directory);
  const serial = await serialFor(directory, which);
  const before = await listRevoked(directory);
  const isKnown = before.some((entry) => entry.serial === serial);
  const file = revocationFile(directory);
  if (!isKnown)
    await replacePem(
      file,
      await listsFor(directory, issuer, [...before, { serial, revokedMs: nowMs }], nowMs),
    );
  for (const name of await certificateNames(directory)) {
    const files = tlsFiles(directory, name);
    if (serialIn(await readPem(files.certificate)) !== serial) continue;
    await rm(files.key, { force: true });
    await rm(files.certificate);
  }
  return { serial, file };
}

/** Of the directory's list; none when there is no list. */
export async function listRevoked(directory: string): Promise<Revoked[]> {
  const file = revocationFile(directory);
  if (!existsSync(file)) return [];
  return revokedBy(await readPem(file), await readPem(tlsFiles(directory, 'ca').certificate), file);
}

/** The entries as the authority says them, before what others have said. Those end with the trust in them. */
async function listsFor(
  directory: string,
  issuer: Issuer,
  entries: readonly Revoked[],
  nowMs: number,
): Promise<string> {
  const own = await signedList(issuer, entries, nowMs);
  const others = await listsOfOthers(directory, issuer);
  return [own, ...others].join('');
}

/** @returns PEM */
export async function signedList(
  issuer: Issuer,
  entries: readonly Revoked[],
  nowMs: number,
): Promise<string> {
  const list = await X509CrlGenerator.create({
    issuer: issuer.certificate.subject,
    thisUpdate: new Date(nowMs),
    nextUpdate: new Date(nowMs + LIST_DAYS * 86_400_000),
    entries: entries.map(({ serial, revokedMs }) => ({
      serialNumber: serial.length % 2 === 0 ? serial : `0${serial}`,
      revocationDate: new Date(revokedMs),
    })),
    signingAlgorithm: ALGORITHM,
    signingKey: issuer.key,
  });
  return `${PemConverter.encode(list.rawData, 'X509 CRL').trim()}\n`;
}

/** PEM of each list in the directory that another authority than this one has signed. */
async function listsOfOthers(directory: string, { certificate }: Issuer): Promise<string[]> {
  const file = revocationFile(directory);
  if (!existsSync(file)) return [];
  const others: string[] = [];
  for (const list of parse(await readPem(file), file))
    if (!(await list.verify({ publicKey: certificate }).catch(() => false)))
      others.push(`${PemConverter.encode(list.rawData, 'X509 CRL').trim()}\n`);
  return others;
}

/** What the directory's list becomes with a new authority: its own list, then those of before; null: there is none. */
export async function successorLists(directory: string, next: Issuer, nowMs: number): Promise<string | null> {
  const file = revocationFile(directory);
  if (!existsSync(file)) return null;
  return `${await signedList(next, await listRevoked(directory), nowMs)}${await readPem(file)}`;
}

/** What is left of it when only the authority that signs now is trusted. */
export async function finishLists(directory: string, nowMs: number): Promise<void> {
  const file = revocationFile(directory);
  if (!existsSync(file)) return;
  await replacePem(file, await signedList(await issuerOf(directory), await listRevoked(directory), nowMs));
}

async function serialFor(directory: string, which: string): Promise<string> {
  const file = isCertificateName(which) ? tlsFiles(directory, which).certificate : '';
  if (file !== '' && existsSync(file)) return serialIn(await readPem(file));
  if (/^[0-9a-fA-F:]{8,60}$/.test(which)) return serialOf(which);
  throw new HoldfastError(
    'NOT_FOUND',
    `${directory} has no certificate ${which}`,
    'give its serial number: `openssl x509 -noout -serial -in NAME.crt` on its machine',
  );
}

const serialIn = (pem: string): string => serialOf(new NodeCertificate(pem).serialNumber);

function parse(text: string, path: string): X509Crl[] {
  try {
    const lists = PemConverter.decode(text).map((der) => new X509Crl(der));
    if (lists.length > 0 && lists.every(({ nextUpdate }) => nextUpdate !== undefined)) return lists;
    throw new Error('there is none, or one without the date of the next one');
  } catch (cause) {
    throw new HoldfastError('INVALID_ARGUMENT', `${path} holds no revocation list`, 'copy it again', {
      cause,
    });
  }
}
