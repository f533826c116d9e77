/** How the embedded Redis runs. Pure. */
import { join } from 'node:path';
import { HoldfastError } from '../../core/errors';

export interface RedisPaths {
  readonly directory: string;
  readonly socket: string;
  readonly log: string;
}

/** The kernel's limit for the path of a UNIX socket, without the final zero. */
const MAX_SOCKET_PATH_BYTES = 107;

export function redisPaths(stateDirectory: string): RedisPaths {
  const directory = join(stateDirectory, 'redis');
  const paths = { directory, socket: join(directory, 'redis.sock'), log: join(directory, 'redis.log') };
  const excessBytes = Buffer.byteLength(paths.socket) - MAX_SOCKET_PATH_BYTES;
  if (excessBytes <= 0) return paths;
  throw new HoldfastError(
    'INVALID_ARGUMENT',
    `the path of the state directory is ${excessBytes} bytes too long for a UNIX socket in it: ${stateDirectory}`,
    'give a shorter state directory',
  );
}

/**
 * Reachable through a socket in a private directory only. Every write is on the disk before it is acknowledged
 * (appendfsync always): the phase of an operation must survive the machine, not only the process, before its commands are sent,
 * and these are a few writes for each operation. Snapshots would add nothing to the append-only file.
 */
export function redisArguments({ directory, log }: RedisPaths): string[] {
  const settings: Record<string, string> = {
    port: '0',
    dir: directory,
    // Relative to dir.
    unixsocket: 'redis.sock',
    unixsocketperm: '700',
    daemonize: 'no',
    logfile: log,
    appendonly: 'yes',
    appendfsync: 'always',
    save: '',
    'maxmemory-policy': 'noeviction',
  };
  return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
}
