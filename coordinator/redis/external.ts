/** A Redis that somebody else runs. */
import { Redis, type RedisOptions } from 'ioredis';
import { HoldfastError, toHoldfastError } from '../../core/errors';

const REMEDY = 'give redis://[user:password@]host[:port][/database], rediss://… or unix:///path/to/socket';

/** Connection options of a Redis URL. Pure; errors do not repeat the URL, which may hold a password. */
export function parseRedisUrl(text: string): RedisOptions {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null) throw bad('the Redis URL is not a URL');
  if (url.protocol === 'unix:') {
    if (url.host !== '' || url.pathname.length < 2)
      throw bad('a unix: Redis URL has three slashes and a path');
    return { path: decodeURIComponent(url.pathname) };
  }
  if (url.protocol !== 'redis:' && url.protocol !== 'rediss:') {
    throw bad(`the Redis URL has the unknown scheme ${url.protocol}//`);
  }
  const [, db = '0'] = /^\/?(\d*)$/.exec(url.pathname) ?? [];
  if (url.hostname === '' || !/^\/?\d*$/.test(url.pathname))
    throw bad('the Redis URL has no host, or no valid database');
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? 6379 : Number(url.port),
    db: Number(db),
    ...(url.username !== '' && { username: decodeURIComponent(url.username) }),
    ...(url.password !== '' && { password: decodeURIComponent(url.password) }),
    ...(url.protocol === 'rediss:' && { tls: {} }),
  };
}

export function describeRedis({ path, host, port }: RedisOptions): string {
  return path === undefined ? `redis at ${host}:${port}` : `redis at ${path}`;
}

/**
 * Checks that the server answers and keeps what it is given. Evicting keys would lose operations in flight (architecture,
 * "Crash ordering"). Resolves with what the operator should know but may have meant.
 */
export async function checkExternal(options: RedisOptions): Promise<string[]> {
  const description = describeRedis(options);
  const client = new Redis({
    ...options,
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

function bad(message: string, remedy = REMEDY): HoldfastError {
  return new HoldfastError('INVALID_ARGUMENT', message, remedy);
}
