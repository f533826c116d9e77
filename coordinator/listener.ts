/** The TCP port: TLS in our own hands, so that new certificates are taken and refused peers are told of. */
import { createServer, type Server as NetServer, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { type Server, ServerCredentials } from '@grpc/grpc-js';
import { HoldfastError } from '../core/errors';
import type { Logger } from '../core/log';
import type { LiveCertificates } from '../core/tls/live';

export interface Listener {
  readonly port: number;
  /** Takes no more connections; those there are belong to the gRPC server. */
  close(): void;
}

export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  /** null: plain text. */
  readonly certificates: LiveCertificates | null;
  /** Of whom no certificate is asked: another way says who they are. */
  readonly isAnonymous?: boolean;
  /** Further ones are closed. */
  readonly maxConnections?: number;
  readonly log: Logger;
}

/** Of HOST:PORT; an IPv6 host loses its brackets. Pure. */
export function hostPort(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(':');
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) };
}

/** A peer that says nothing keeps a descriptor for so long. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

/** @throws HoldfastError WRONG_STATE when the address cannot be used */
export async function serveTcp(server: Server, options: ListenerOptions): Promise<Listener> {
  const { certificates, host, log, port } = options;
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const serve = (socket: Socket | TLSSocket) => {
    socket.on('error', () => socket.destroy());
    injector.injectConnection(socket);
  };
  const listener =
    certificates === null
      ? createServer(serve)
      : secured(certificates, options.isAnonymous ?? false, log, serve);
  if (options.maxConnections !== undefined) listener.maxConnections = options.maxConnections;
  await bound(listener, host, port);
  const address = listener.address();
  if (address === null || typeof address === 'string') throw new HoldfastError('INTERNAL', 'no port');
  return { port: address.port, close: () => void listener.close() };
}

function secured(
  certificates: LiveCertificates,
  isAnonymous: boolean,
  log: Logger,
  serve: (socket: TLSSocket) => void,
): NetServer {
  const context = () => {
    const { authority, certificate, key } = certificates.now;
    return { ca: authority, cert: certificate, key };
  };
  const server = createTlsServer({
    ...context(),
    requestCert: !isAnonymous,
    // Refused below: Node itself would not say why.
    rejectUnauthorized: false,
    ALPNProtocols: ['h2'],
    minVersion: 'TLSv1.2',
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
  });
  const refused = ({ remoteAddress }: Socket, reason: string) =>
    log.warn({ peer: remoteAddress, reason }, 'connection refused in the handshake');
  server.on('tlsClientError', (error, socket) => refused(socket, reasonOf(error)));
  const open = new Set<TLSSocket>();
  const isRevoked = (socket: TLSSocket) => certificates.isRevoked(socket.getPeerCertificate());
  server.on('secureConnection', (socket) => {
    if (isAnonymous) return serve(socket);
    const problem = socket.authorized && !isRevoked(socket) ? null : certificateProblem(socket);
    if (problem !== null) {
      refused(socket, problem);
      socket.on('error', () => {}).destroy();
      return;
    }
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    serve(socket);
  });
  const update = () => {
    server.setSecureContext(context());
    // Those that got in before their certificate was revoked.
    for (const socket of [...open].filter(isRevoked)) {
      const { remoteAddress: peer } = socket;
      log.warn({ peer, reason: certificateProblem(socket) }, 'connection closed');
      socket.destroy();
    }
  };
  certificates.addCaCertificateListener(update);
  certificates.addIdentityCertificateListener(update);
  server.once('close', () => {
    certificates.removeCaCertificateListener(update);
    certificates.removeIdentityCertificateListener(update);
  });
  return server;
}

function certificateProblem(socket: TLSSocket): string {
  const { raw, subject } = socket.getPeerCertificate();
  if (raw === undefined) return 'the peer shows no certificate';
  const problem = socket.authorized
    ? 'it was revoked'
    : String(socket.authorizationError).toLowerCase().replaceAll('_', ' ');
  return `certificate of ${String(subject?.CN)}: ${problem}`;
}

/** OpenSSL's words for what people meet. Pure. */
function reasonOf(error: Error & { code?: string }): string {
  const { code = '', message } = error;
  if (
    code === 'ERR_SSL_WRONG_VERSION_NUMBER' ||
    code === 'ERR_SSL_HTTP_REQUEST' ||
    /wrong version|http request/.test(message)
  )
    return 'the peer speaks plain text';
  if (code === 'ERR_TLS_HANDSHAKE_TIMEOUT') return 'the peer did not finish the handshake in time';
  return `${code} ${message}`.trim();
}

function bound(listener: NetServer, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    listener.once('error', (cause) => {
      const remedy = 'choose another address, or stop what uses it';
      const message = `cannot listen on ${host}:${port}: ${cause.message}`;
      reject(new HoldfastError('WRONG_STATE', message, remedy, { cause }));
    });
    listener.listen(port, host, resolve);
  });
}
