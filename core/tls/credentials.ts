/** Of clients, from a TLS directory. Both ends show a certificate; both check the other's role. */

import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type { PeerCertificate } from 'node:tls';
import { checkServerIdentity } from 'node:tls';
import { type ChannelCredentials, type ChannelOptions, experimental } from '@grpc/grpc-js';
import { HoldfastError } from '../errors';
import { readPem, tlsFiles } from './files';
import { certificateNames } from './inventory';
import { LiveCertificates } from './live';
import { roleIn } from './peer';

/**
 * For a channel that lives for one command. @param host the coordinator's host name or address: what its certificate must
 * be for. With an address, also give the channel `addressOptions(host)`.
 */
export async function clientCredentials(
  directory: string,
  name: string,
  host?: string,
): Promise<ChannelCredentials> {
  return liveCredentials(await LiveCertificates.open(directory, name), host);
}

/** For a channel that outlives its certificates. @param host as above */
export function liveCredentials(live: LiveCertificates, host?: string): ChannelCredentials {
  return experimental.createCertificateProviderChannelCredentials(live, live, {
    checkServerIdentity: (asked, shown) =>
      live.isRevoked(shown) ? revoked(host ?? asked) : checkCoordinator(host ?? asked, shown),
  });
}

/** TLS does not allow an IP address as the server name that a client asks for: a fixed name is sent instead of it. */
export function addressOptions(host: string): ChannelOptions {
  return isIP(host) === 0 ? {} : { 'grpc.ssl_target_name_override': 'coordinator' };
}

function revoked(host: string): Error {
  return new HoldfastError('UNAUTHENTICATED', `${host} shows a certificate that was revoked`);
}

/** Whether a certificate is a coordinator's, and for this host; undefined: it is. */
export function checkCoordinator(host: string, certificate: PeerCertificate): Error | undefined {
  if (roleIn(certificate) !== 'coordinator') {
    return new HoldfastError('UNAUTHENTICATED', `${host} shows a certificate that is not a coordinator's`);
  }
  return checkServerIdentity(host, certificate);
}

/**
 * The name of the coordinator's certificate among those of a directory.
 * @throws HoldfastError INVALID_ARGUMENT when there is none, or more than one
 */
export async function coordinatorNameIn(directory: string): Promise<string> {
  const names: string[] = [];
  for (const name of await certificateNames(directory).catch(() => [])) {
    const { subject } = new X509Certificate(await readPem(tlsFiles(directory, name).certificate));
    if (/^OU=coordinator$/m.test(subject)) names.push(name);
  }
  const [only, another] = names;
  if (only !== undefined && another === undefined) return only;
  throw new HoldfastError(
    'INVALID_ARGUMENT',
    `${directory} holds ${names.length === 0 ? 'no certificate' : `certificates (${names.join(', ')})`} of a coordinator`,
    'there must be exactly one: issue it with the role "coordinator", or name the one to use',
  );
}
