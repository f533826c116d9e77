/** Where the coordinator keeps operations in flight and its cache (invariant C4). */
import { chmodSync, mkdirSync } from 'node:fs';
import type { Redis, RedisOptions } from 'ioredis';
import { redisPaths } from './configuration';
import { connectRedis } from './connect';
import { EmbeddedRedis, type Report } from './embedded';
import { checkExternal } from './external';
import { lockDirectory } from './lock';
import { describeRedis, parseRedisUrl, type RedisEndpoint } from './url';

export interface OpenRedisOptions {
  /** A Redis that is run by somebody else; without it the coordinator runs its own. */
  readonly url?: string;
  /** Exists; the embedded Redis keeps its data in `redis` below it. */
  readonly stateDirectory: string;
  /** Told what the operator should know: a restart of the server, a risky setting. */
  readonly report?: Report;
}

export interface OpenedRedis {
  /** A new client. Commands wait while the server is away, and are sent again when it is back. */
  readonly connect: (overrides?: RedisOptions) => Redis;
  /** Nobody else can reach it. */
  readonly isOwn: boolean;
  /** For logs; without a password. */
  readonly description: string;
  /** Process of the embedded server, if there is one now. */
  pid(): number | undefined;
  /** Ends the embedded server and unlocks the state directory. Close the clients first. */
  close(): Promise<void>;
}

/** BullMQ's blocking commands wait as long as it takes. */
const WAITING = {
  maxRetriesPerRequest: null,
  retryStrategy: (attempt: number) => Math.min(attempt * 20, 1_000),
};

const connecting = (endpoint: RedisEndpoint) => (overrides?: RedisOptions) =>
  connectRedis(endpoint, { ...WAITING, ...overrides });

/**
 * Errors: INVALID_ARGUMENT (the URL, or a Redis that evicts keys), WRONG_STATE (another coordinator has the state
 * directory), COORDINATOR_UNAVAILABLE, CORRUPT and NOT_FOUND (the embedded server).
 */
export async function openRedis({
  url,
  stateDirectory,
  report = () => {},
}: OpenRedisOptions): Promise<OpenedRedis> {
  const lock = await lockDirectory(stateDirectory);
  try {
    if (url !== undefined) {
      const endpoint = parseRedisUrl(url);
      for (const warning of await checkExternal(endpoint)) report(warning);
      return {
        connect: connecting(endpoint),
        isOwn: false,
        description: describeRedis(endpoint),
        pid: () => undefined,
        close: async () => lock.release(),
      };
    }
    const paths = redisPaths(stateDirectory);
    mkdirSync(paths.directory, { recursive: true });
    chmodSync(paths.directory, 0o700);
    const server = new EmbeddedRedis(paths, lock.fd, report);
    await server.start();
    return {
      connect: connecting({ path: paths.socket }),
      isOwn: true,
      description: `embedded redis in ${paths.directory}`,
      pid: () => server.pid,
      close: async () => {
        await server.close();
        lock.release();
      },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}
