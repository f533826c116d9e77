/** The socket that Slurm's hooks tell their news on. Each is answered within milliseconds: Slurm waits (H1). */
import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import { type LocalServer, type Peer, serveLocally } from '../rpc/localSocket';
import { type HookMessage, MAX_MESSAGE_BYTES, parseHookMessage } from './message';

const READ_LIMIT_MS = 2_000;

export interface HooksOptions {
  readonly socketPath: string;
  readonly peerCredentials: (fd: number) => Peer;
  readonly log: Logger;
  /** Is it theirs to say? */
  readonly mayTell: (message: HookMessage, peer: Peer) => boolean;
  /** @returns lines that a task's hook prints */
  readonly heard: (message: HookMessage, peer: Peer) => string;
}

export function serveHooks({
  socketPath,
  peerCredentials,
  log,
  mayTell,
  heard,
}: HooksOptions): Promise<LocalServer> {
  return serveLocally(socketPath, peerCredentials, (socket, peer) => {
    const { uid } = peer;
    readLine(socket, (line) => {
      const message = parseHookMessage(line);
      if (message === null || !mayTell(message, peer)) {
        log.warn({ uid }, 'a hook was refused');
        socket.end('refused\n');
        return;
      }
      log.info({ event: message.event, slurmJob: message.jobId, uid }, 'hook');
      try {
        socket.end(`ok\n${heard(message, peer)}`);
      } catch (err) {
        log.error({ err }, 'hook');
        socket.end('refused\n');
      }
    });
  });
}

function readLine(socket: Socket, take: (line: string) => void): void {
  let text = '';
  socket.setEncoding('utf8');
  socket.setTimeout(READ_LIMIT_MS, () => socket.destroy());
  socket.on('data', (data: string) => {
    text += data;
    const end = text.indexOf('\n');
    if (end >= 0) {
      socket.removeAllListeners('data');
      take(text.slice(0, end));
    } else if (text.length > MAX_MESSAGE_BYTES) socket.destroy();
  });
  socket.resume();
}
