/** gRPC credentials from a TLS directory. Both ends show a certificate; both check the other's role. */

import { X509Certificate } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import type { PeerCertificate } from 'node:tls';
import { checkServerIdentity } from 'node:tls';
import { ChannelCredentials, type ChannelOptions, ServerCredentials } from '@grpc/grpc-js';
import { HoldfastError } from '../errors';
import { readPem, tlsFiles } from './files';
import { roleIn } from './peer';

/** A client without a certificate of the same authority is refused in the handshake. */
export async function serverCredentials(directory: string, name: string): Promise<ServerCredentials> {
  const { authority, certificate, key } = await readAll(directory, name);
  return ServerCredentials.createSsl(authority, [{ private_key: key, cert_chain: certificate }], true);
}

/**
 * @param host the coordinator's host name or address: what its certificate must be for. With an address, also give
 *   the channel `addressOptions(host)`.
 */
export async function clientCredentials(
  directory: string,
  name: string,
  host?: string,
): Promise<ChannelCredentials> {
  const { authority, certificate, key } = await readAll(directory, name);
  return ChannelCredentials.createSsl(authority, key, certificate, {
    checkServerIdentity: (asked, shown) => checkCoordinator(host ?? asked, shown),
  });
}

/** TLS does not allow an IP address as the server name that a client asks for: a fixed name is sent instead of it. */
export function addressOptions(host: string): ChannelOptions {
  return isIP(host) === 0 ? {} : { 'grpc.ssl_target_name_override': 'coordinator' };
}

function checkCoordinator(host: string, certificate: PeerCertificate): Error | undefined {
  if (roleIn(certificate) !== 'coordinator') {
    return new HoldfastError('UNAUTHENTICATED', `${host} shows a certificate that is not a coordinator's`);
  }
  return checkServerIdentity(host, certificate);
}

async function readAll(directory: string, name: string) {
  const files = tlsFiles(directory, name);
  const [authority, certificate, key] = await Promise.all(
    [join(directory, 'ca.crt'), files.certificate, files.key].map(async (path) =>
      Buffer.from(await readPem(path)),
    ),
  );
  if (authority === undefined || certificate === undefined || key === undefined) {
    throw new HoldfastError('INTERNAL', `${directory}: three files were read, but not all arrived`);
  }
  return { authority, certificate, key };
}

/**
 * The name of the coordinator's certificate among those of a directory.
 * @throws HoldfastError INVALID_ARGUMENT when there is none, or more than one
 */
export async function coordinatorNameIn(directory: string): Promise<string> {
  const names: string[] = [];
  for (const file of await readdir(directory).catch(() => [])) {
    const name = /^(.+)\.crt$/.exec(file)?.[1];
    if (name === undefined || name === 'ca') continue;
    const { subject } = new X509Certificate(await readPem(join(directory, file)));
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
