/** Which UNIX socket to call: the one asked for, else the first default that somebody listens on. */

import { connect } from 'node:net';
import { HoldfastError } from '../../core/errors';

export const DEFAULT_SOCKETS = ['/run/holdfast/agent.sock', '/run/holdfast/coordinator.sock'];

type Probe = 'listening' | 'silent' | 'forbidden';

/** Connects and hangs up: a socket file alone says nothing, its process may be dead. */
function probe(path: string): Promise<Probe> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve('listening');
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code === 'EACCES' || error.code === 'EPERM' ? 'forbidden' : 'silent');
    });
  });
}

/**
 * @param asked value of --socket or HOLDFAST_SOCKET; the defaults are tried only without it
 * @throws COORDINATOR_UNAVAILABLE when nobody listens, PERMISSION_DENIED when somebody might
 */
export async function chooseSocket(
  asked: string | undefined,
  defaults: readonly string[] = DEFAULT_SOCKETS,
): Promise<string> {
  const candidates = asked ? [asked] : defaults;
  let forbidden: string | undefined;
  for (const path of candidates) {
    const found = await probe(path);
    if (found === 'listening') return path;
    if (found === 'forbidden') forbidden ??= path;
  }
  if (forbidden !== undefined) {
    throw new HoldfastError(
      'PERMISSION_DENIED',
      `you may not connect to ${forbidden}`,
      'ask the administrator for access to the socket',
    );
  }
  throw new HoldfastError(
    'COORDINATOR_UNAVAILABLE',
    `nothing listens on ${candidates.join(' or ')}`,
    'start `holdfast agent` on this node, or name the socket of a running one with --socket or HOLDFAST_SOCKET',
  );
}
