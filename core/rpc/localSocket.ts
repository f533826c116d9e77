/** A UNIX socket that everybody on the machine may connect to: the kernel says who does. */
import { chmod, lstat, mkdir, unlink } from 'node:fs/promises';
import { connect, createServer, type Socket, type Server as SocketServer } from 'node:net';
import { dirname } from 'node:path';
import { HoldfastError } from '../errors';

export interface Peer {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

export interface LocalSocketOptions {
  /** Of one uid but root's at a time. */
  readonly maxConnectionsOfUser?: number;
  /** A connection that could not be served, and is closed. */
  readonly onError?: (error: Error) => void;
}

export interface LocalServer {
  /** Takes no more connections, and removes the socket; resolves when those there were have ended. */
  close(): Promise<void>;
}

/** An MPI launcher calls for all of its nodes at once. */
const MAX_CONNECTIONS_OF_USER = 4096;
const ROOT = 0;

class ConnectionCount {
  readonly #open = new Map<number, number>();
  readonly #told = new Set<number>();

  constructor(private readonly maxOfUser: number) {}

  /**
   * @returns what ends it; null: refused, as the one before
   * @throws HoldfastError LIMIT_EXCEEDED for the first one that is refused
   */
  enter(uid: number): (() => void) | null {
    const open = this.#open.get(uid) ?? 0;
    if (uid !== ROOT && open >= this.maxOfUser) {
      if (this.#told.has(uid)) return null;
      this.#told.add(uid);
      throw new HoldfastError('LIMIT_EXCEEDED', `uid ${uid} has ${open} connections open already`);
    }
    this.#open.set(uid, open + 1);
    return () => {
      const left = (this.#open.get(uid) ?? 1) - 1;
      this.#told.delete(uid);
      if (left > 0) this.#open.set(uid, left);
      else this.#open.delete(uid);
    };
  }
}

/**
 * @param peerCredentials SO_PEERCRED of a connected socket's descriptor (native/index.ts)
 * @param serve gets each connection, paused until it reads
 * @throws HoldfastError WRONG_STATE when another process serves the socket
 */
export async function serveLocally(
  path: string,
  peerCredentials: (fd: number) => Peer,
  serve: (socket: Socket, peer: Peer) => void,
  { maxConnectionsOfUser = MAX_CONNECTIONS_OF_USER, onError }: LocalSocketOptions = {},
): Promise<LocalServer> {
  await prepareSocketPath(path);
  const connections = new ConnectionCount(maxConnectionsOfUser);
  const listener = createServer({ pauseOnConnect: true }, (socket) => {
    try {
      const peer = peerCredentials(descriptorOf(socket));
      const leave = connections.enter(peer.uid);
      if (leave === null) return void socket.destroy();
      socket.once('close', leave);
      socket.on('error', () => socket.destroy());
      serve(socket, peer);
    } catch (thrown) {
      socket.destroy();
      onError?.(thrown instanceof Error ? thrown : new Error(String(thrown)));
    }
  });
  await listen(listener, path);
  await chmod(path, 0o666);
  return { close: () => new Promise((resolve) => listener.close(() => resolve())) };
}

/** Node has no public way to a socket's descriptor; its handle has carried `fd` since the first releases. */
function descriptorOf(socket: Socket): number {
  const { _handle } = socket as unknown as { _handle: { fd?: number } | null };
  if (_handle === null || typeof _handle.fd !== 'number' || _handle.fd < 0) {
    throw new HoldfastError('INTERNAL', 'the connection closed before its peer was known');
  }
  return _handle.fd;
}

/** The directory, and a socket file that nobody serves any more out of the way. */
async function prepareSocketPath(path: string): Promise<void> {
  // Everybody must reach the socket, whatever the umask is; a directory that was there is its owner's business.
  const made = await mkdir(dirname(path), { recursive: true });
  if (made !== undefined) await chmod(dirname(path), 0o755);
  const found = await lstat(path).catch(() => null);
  if (found === null) return;
  if (!found.isSocket()) {
    throw new HoldfastError('WRONG_STATE', `${path} is not a socket`, 'move it away or choose another path');
  }
  if (await isServed(path)) {
    throw new HoldfastError(
      'WRONG_STATE',
      `another process serves ${path}`,
      'stop it or choose another path',
    );
  }
  await unlink(path);
}

function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
}

function listen(listener: SocketServer, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(path, resolve);
  });
}
