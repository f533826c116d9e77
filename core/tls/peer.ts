/** What the peer's verified certificate says about it. */
import type { PeerCertificate } from 'node:tls';
import { HoldfastError } from '../errors';
import { isNodeName } from '../ids';

/** In the certificate's OU: what the holder may do. */
export type TlsRole = 'coordinator' | 'node';

/** Anything with gRPC's getAuthContext: every kind of server call. */
export interface AuthenticatedCall {
  getAuthContext(): { transportSecurityType?: string; sslPeerCertificate?: PeerCertificate } | null;
}

export function roleIn(certificate: PeerCertificate): TlsRole | null {
  const unit: unknown = certificate.subject?.OU;
  return unit === 'coordinator' || unit === 'node' ? unit : null;
}

/** @throws HoldfastError UNAUTHENTICATED unless the peer shows a node's certificate */
export function nodeNameOf(call: AuthenticatedCall): string {
  const certificate = call.getAuthContext()?.sslPeerCertificate;
  if (certificate === undefined) throw new HoldfastError('UNAUTHENTICATED', 'the peer shows no certificate');
  const name: unknown = certificate.subject?.CN;
  if (roleIn(certificate) !== 'node' || typeof name !== 'string' || !isNodeName(name)) {
    throw new HoldfastError(
      'UNAUTHENTICATED',
      `the peer's certificate (${String(name)}) is not a node's`,
      'issue one with the role "node"',
    );
  }
  return name;
}
