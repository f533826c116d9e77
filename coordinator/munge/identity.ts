/** Who calls, by the MUNGE credential of the call: good for this one call at this coordinator, once. */
import { createHash, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type { Metadata } from '@grpc/grpc-js';
import { HoldfastError } from '../../core/errors';
import { hostOfBinding, MUNGE_KEY, MUNGE_TTL_S } from '../../core/munge/binding';
import { type Decoded, decodeCredential } from '../../core/munge/program';
import type { Identity } from '../../core/rpc/identity';
import type { LiveCertificates } from '../../core/tls/live';
import type { Clock } from '../clock';

/** Each is a process for a moment. */
const MAX_DECODING = 32;
const MAX_CREDENTIAL_BYTES = 8 * 1024;
/** Clocks of a realm may differ by so much. */
const SKEW_MS = 60_000;
const AGE_MS = MUNGE_TTL_S * 1000 + SKEW_MS;

export interface MungeOptions {
  readonly clock: Clock;
  readonly certificates: LiveCertificates;
  readonly socket: string | undefined;
  /** For tests. */
  readonly decode?: (credential: string) => Promise<Decoded>;
}

export class MungeIdentities {
  /** Digests of credentials that were seen, with the time after which MUNGE itself refuses them. */
  readonly #seen = new Map<string, number>();
  #decoding = 0;

  constructor(private readonly options: MungeOptions) {}

  /**
   * @param request encoded; null: a stream
   * @throws HoldfastError UNAUTHENTICATED, LIMIT_EXCEEDED
   */
  async of(metadata: Metadata, method: string, request: Uint8Array | null): Promise<Identity> {
    const { clock, certificates } = this.options;
    const [credential, ...others] = metadata.get(MUNGE_KEY);
    if (typeof credential !== 'string' || others.length > 0 || credential.length > MAX_CREDENTIAL_BYTES) {
      throw refused('the call has no MUNGE credential', 'call with --auth munge');
    }
    const { uid, gid, encodedMs, payload } = await this.#decode(credential);
    const bound = hostOfBinding(payload, method, request);
    if ('problem' in bound) {
      throw refused(
        `the MUNGE credential ${bound.problem}`,
        'run the same release of Holdfast on both machines',
      );
    }
    if (!isFor(bound.host, new X509Certificate(certificates.now.certificate))) {
      throw refused(`the MUNGE credential is for the coordinator ${bound.host}, not for this one`, '');
    }
    if (Math.abs(clock.wallMs() - encodedMs) > AGE_MS) {
      throw refused('the MUNGE credential is too old', 'compare the clocks of both machines');
    }
    this.#use(credential);
    return { uid, gid, pid: 0, node: null };
  }

  async #decode(credential: string): Promise<Decoded> {
    if (this.#decoding >= MAX_DECODING) {
      throw new HoldfastError('LIMIT_EXCEEDED', 'too many MUNGE credentials at once', 'try again');
    }
    this.#decoding++;
    try {
      const { decode = (text: string) => decodeCredential(text, this.options.socket) } = this.options;
      return await decode(credential);
    } finally {
      this.#decoding--;
    }
  }

  /** munged tells of a replay as long as it runs; this does also when it was restarted. */
  #use(credential: string): void {
    const nowMs = this.options.clock.monotonicMs();
    for (const [digest, untilMs] of this.#seen) {
      if (untilMs > nowMs) break;
      this.#seen.delete(digest);
    }
    const digest = createHash('sha256').update(credential.trim()).digest('hex');
    if (this.#seen.has(digest)) throw refused('the MUNGE credential was used before', '');
    this.#seen.set(digest, nowMs + 2 * AGE_MS);
  }
}

function isFor(host: string, certificate: X509Certificate): boolean {
  return (isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host)) !== undefined;
}

function refused(message: string, remedy: string): HoldfastError {
  return new HoldfastError('UNAUTHENTICATED', message, remedy);
}
