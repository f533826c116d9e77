/** Clients of whatever a Redis URL names, with the scripts that the coordinator runs in it. */
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { FENCE_SCRIPTS } from '../leadership/fence';
import { LEASE_SCRIPTS } from '../leadership/lease';
import type { RedisEndpoint } from './url';

const LEASE_KEYS = 2;

/** Commands wait while the server is away, and are sent again when it is back, unless the overrides say otherwise. */
export function connectRedis(endpoint: RedisEndpoint, overrides: RedisOptions = {}): Redis {
  const { clusterNodes, ...options } = endpoint;
  const redis =
    clusterNodes === undefined
      ? new Redis({ ...options, ...overrides })
      : // A cluster takes the same commands; its type only does not say so.
        (new Cluster([...clusterNodes], clusterOptions({ ...options, ...overrides })) as unknown as Redis);
  for (const [name, lua] of Object.entries(LEASE_SCRIPTS))
    redis.defineCommand(name, { lua, numberOfKeys: LEASE_KEYS });
  // Each call says how many keys it has.
  for (const [name, lua] of Object.entries(FENCE_SCRIPTS)) redis.defineCommand(name, { lua });
  return redis;
}

function clusterOptions({ lazyConnect, retryStrategy, ...redisOptions }: RedisOptions) {
  return {
    redisOptions,
    lazyConnect,
    clusterRetryStrategy: (attempt: number) => retryStrategy?.(attempt) ?? null,
    // A slot may be without a master until a replica was elected.
    retryDelayOnClusterDown: 200,
    retryDelayOnFailover: 200,
  };
}
