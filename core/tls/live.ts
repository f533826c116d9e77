/** The certificates of this machine, as its files say now: new ones are used from the next connection on. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import type { PeerCertificate } from 'node:tls';
import type { experimental } from '@grpc/grpc-js';
import { HoldfastError } from '../errors';
import { readPem, revocationFile, tlsFiles } from './files';
import type * as Revocation from './revocation';
import { serialOf } from './serial';

export interface Certificates {
  /** All authorities that are trusted. */
  readonly authority: Buffer;
  readonly certificate: Buffer;
  readonly key: Buffer;
  /** ca.crl; empty: there is none. */
  readonly revocations: Buffer;
  /** Serial numbers of what is refused. */
  readonly revoked: ReadonlySet<string>;
}

type Provider = experimental.CertificateProvider;
type AuthorityListener = Parameters<Provider['addCaCertificateListener']>[0];
type IdentityListener = Parameters<Provider['addIdentityCertificateListener']>[0];

export class LiveCertificates implements Provider {
  readonly #authorityListeners = new Set<AuthorityListener>();
  readonly #identityListeners = new Set<IdentityListener>();

  private constructor(
    private readonly directory: string,
    readonly name: string,
    private files: Certificates,
  ) {}

  /** @throws HoldfastError INVALID_ARGUMENT when a file is missing, or they do not fit together */
  static async open(directory: string, name: string): Promise<LiveCertificates> {
    return new LiveCertificates(directory, name, await readCertificates(directory, name));
  }

  get now(): Certificates {
    return this.files;
  }

  /** Of a peer: whether its authority has taken back what it vouched for. */
  isRevoked({ serialNumber }: Pick<PeerCertificate, 'serialNumber'>): boolean {
    return this.files.revoked.has(serialOf(serialNumber));
  }

  /** When the certificate begins and ends to be valid, as Unix time. */
  get validity(): { notBeforeMs: number; notAfterMs: number } {
    const { validFrom, validTo } = new X509Certificate(this.files.certificate);
    return { notBeforeMs: Date.parse(validFrom), notAfterMs: Date.parse(validTo) };
  }

  /**
   * @returns whether something has changed
   * @throws HoldfastError INVALID_ARGUMENT: then those of before stay in use
   */
  async reload(): Promise<boolean> {
    const next = await readCertificates(this.directory, this.name);
    if (next.revocations.length === 0 && this.files.revocations.length > 0) {
      const file = revocationFile(this.directory);
      throw new HoldfastError(
        'INVALID_ARGUMENT',
        `${file} is gone`,
        'copy it again: what it revoked stays so',
      );
    }
    const isSame = (['authority', 'certificate', 'key', 'revocations'] as const).every((part) =>
      next[part].equals(this.files[part]),
    );
    if (isSame) return false;
    this.files = next;
    for (const listener of this.#authorityListeners) this.#tellAuthority(listener);
    for (const listener of this.#identityListeners) this.#tellIdentity(listener);
    return true;
  }

  addCaCertificateListener(listener: AuthorityListener): void {
    this.#authorityListeners.add(listener);
    process.nextTick(() => this.#tellAuthority(listener));
  }

  removeCaCertificateListener(listener: AuthorityListener): void {
    this.#authorityListeners.delete(listener);
  }

  addIdentityCertificateListener(listener: IdentityListener): void {
    this.#identityListeners.add(listener);
    process.nextTick(() => this.#tellIdentity(listener));
  }

  removeIdentityCertificateListener(listener: IdentityListener): void {
    this.#identityListeners.delete(listener);
  }

  #tellAuthority(listener: AuthorityListener): void {
    listener({ caCertificate: this.files.authority });
  }

  #tellIdentity(listener: IdentityListener): void {
    listener({ certificate: this.files.certificate, privateKey: this.files.key });
  }
}

async function readCertificates(directory: string, name: string): Promise<Certificates> {
  const files = tlsFiles(directory, name);
  const read = async (path: string) => Buffer.from(await readPem(path));
  const [authority, certificate, key] = await Promise.all([
    read(tlsFiles(directory, 'ca').certificate),
    read(files.certificate),
    read(files.key),
  ]);
  for (const [path, pem] of [
    [tlsFiles(directory, 'ca').certificate, authority],
    [files.certificate, certificate],
  ] as const)
    mustHold(path, () => new X509Certificate(pem));
  const privateKey = mustHold(files.key, () => createPrivateKey(key));
  const revocations = await readRevocations(directory, authority);
  if (new X509Certificate(certificate).checkPrivateKey(privateKey))
    return { authority, certificate, key, ...revocations };
  throw new HoldfastError(
    'INVALID_ARGUMENT',
    `${files.key} is not the key of ${files.certificate}`,
    'copy both from where they were issued',
  );
}

async function readRevocations(
  directory: string,
  authority: Buffer,
): Promise<Pick<Certificates, 'revocations' | 'revoked'>> {
  const file = revocationFile(directory);
  if (!existsSync(file)) return { revocations: Buffer.alloc(0), revoked: new Set() };
  const text = await readPem(file);
  // Most clusters have no list, and need not wait for the library.
  const { revokedBy } = require('./revocation') as typeof Revocation;
  const revoked = await revokedBy(text, authority.toString(), file);
  return { revocations: Buffer.from(text), revoked: new Set(revoked.map(({ serial }) => serial)) };
}

function mustHold<T>(path: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    const what = path.endsWith('.key') ? 'private key' : 'certificate';
    const remedy = 'copy it again from where it was issued';
    throw new HoldfastError('INVALID_ARGUMENT', `${path} holds no ${what}`, remedy, { cause });
  }
}
