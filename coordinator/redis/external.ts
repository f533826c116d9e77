/** A Redis that somebody else runs. */
import type { Redis } from 'ioredis';
import { HoldfastError, toHoldfastError } from '../../core/errors';
import { connectRedis } from './connect';
import { bad, describeRedis, type RedisEndpoint } from './url';

/**
 * Checks that the server answers and keeps what it is given. Evicting keys would lose operations in flight (architecture,
 * "Crash ordering"). Resolves with what the operator should know but may have meant.
 */
export async function checkExternal(endpoint: RedisEndpoint): Promise<string[]> {
  const description = describeRedis(endpoint);
  const client = connectRedis(endpoint, {
    lazyConnect: true,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  });
  // What was wrong; the rejected connect() only says that there is no connection.
  let problem: unknown;
  client.on('error', (error) => {
    problem ??= error;
  });
  try {
    await client.connect();
    const facts = parseInfo(`${await client.info('memory')}\n${await client.info('persistence')}`);
    const policy = facts.get('maxmemory_policy') ?? 'noeviction';
    if (policy !== 'noeviction') {
      throw bad(
        `${description} evicts keys (maxmemory-policy ${policy})`,
        'set maxmemory-policy noeviction there',
      );
    }
    const durable = facts.get('aof_enabled') === '1';
    return durable ? [] : [`${description} has no append-only file: its crash ends the operations in flight`];
  } catch (error) {
    if (error instanceof HoldfastError) throw error;
    throw new HoldfastError(
      'COORDINATOR_UNAVAILABLE',
      `${description} cannot be used: ${toHoldfastError(problem ?? error).message}`,
      'check its address and password, and that it is running',
    );
  } finally {
    hangUp(client);
  }
}

/** ioredis keeps a timer for two seconds when it is told to leave a connection that is already gone. */
export function hangUp(client: Redis): void {
  if (client.status !== 'end') client.disconnect();
}

/** The fields of an INFO reply. */
function parseInfo(text: string): Map<string, string> {
  const fields = text.matchAll(/^([a-z_]+):(.*?)\r?$/gm);
  return new Map([...fields].map(([, name = '', value = '']) => [name, value]));
}
