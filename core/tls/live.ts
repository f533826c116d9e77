/** The certificates of this machine, as its files say now: new ones are used from the next connection on. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { experimental } from '@grpc/grpc-js';
import { HoldfastError } from '../errors';
import { readPem, tlsFiles } from './files';

export interface Certificates {
  /** All authorities that are trusted. */
  readonly authority: Buffer;
  readonly certificate: Buffer;
  readonly key: Buffer;
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
    const isSame = (['authority', 'certificate', 'key'] as const).every((part) =>
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
  if (new X509Certificate(certificate).checkPrivateKey(privateKey)) return { authority, certificate, key };
  throw new HoldfastError(
    'INVALID_ARGUMENT',
    `${files.key} is not the key of ${files.certificate}`,
    'copy both from where they were issued',
  );
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
