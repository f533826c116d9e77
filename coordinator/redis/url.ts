/** From a Redis URL to what ioredis connects with. Pure; errors do not repeat the URL, which may hold a password. */
import type { RedisOptions } from 'ioredis';
import { HoldfastError } from '../../core/errors';

interface Address {
  readonly host: string;
  readonly port: number;
}

/** With `clusterNodes` it is a Redis Cluster, and the rest is for each of its nodes. */
export type RedisEndpoint = RedisOptions & { readonly clusterNodes?: readonly Address[] };

const REMEDY =
  'give redis://[user:password@]host[:port][/database], rediss://…, unix:///path/to/socket, ' +
  'redis+sentinel://[user:password@]host[:port],…/master[/database][?sentinel-password=…] or redis+cluster://[user:password@]host[:port],…';
const REDIS_PORT = 6379;
const SENTINEL_PORT = 26_379;
/** Several hosts are in no URL that a parser of URLs takes. */
const SEVERAL = /^(rediss?)\+(sentinel|cluster):\/\/(?:([^@/]*)@)?([^@/?#]+)(\/[^?#]*)?(?:\?([^#]*))?$/;
const SENTINEL_PARAMETERS: readonly string[] = ['sentinel-user', 'sentinel-password'];

/** @throws HoldfastError INVALID_ARGUMENT */
export function parseRedisUrl(text: string): RedisEndpoint {
  const several = SEVERAL.exec(text);
  if (several !== null) return severalHosts(several);
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
    port: url.port === '' ? REDIS_PORT : Number(url.port),
    db: Number(db),
    ...login(url.username, url.password),
    ...(url.protocol === 'rediss:' && { tls: {} }),
  };
}

function severalHosts(parts: RegExpExecArray): RedisEndpoint {
  const [, scheme, kind, userInfo = '', hosts = '', path = '', query = ''] = parts;
  const [user = '', ...password] = userInfo.split(':');
  const security = scheme === 'rediss' ? { tls: {} } : {};
  const shared = { ...login(user, password.join(':')), ...security };
  const parameters = new URLSearchParams(query);
  const allowed = kind === 'cluster' ? [] : SENTINEL_PARAMETERS;
  const unknown = [...parameters.keys()].find((name) => !allowed.includes(name));
  if (unknown !== undefined) throw bad(`the Redis URL has the unknown parameter ${unknown}`);
  if (kind === 'cluster') {
    if (!/^\/?$/.test(path)) throw bad('a Redis Cluster has no databases to choose from');
    return { ...shared, clusterNodes: addresses(hosts, REDIS_PORT) };
  }
  const [, name, db = '0'] = /^\/([^/]+)(?:\/(\d+))?$/.exec(path) ?? [];
  if (name === undefined) throw bad('a Redis URL with sentinels names their master: …/master[/database]');
  const sentinels = addresses(hosts, SENTINEL_PORT);
  const sentinelSecurity = {
    ...(scheme === 'rediss' && { enableTLSForSentinelMode: true }),
    ...(parameters.has('sentinel-user') && { sentinelUsername: parameters.get('sentinel-user') ?? '' }),
    ...(parameters.has('sentinel-password') && {
      sentinelPassword: parameters.get('sentinel-password') ?? '',
    }),
  };
  return { ...shared, ...sentinelSecurity, sentinels, name: decodeURIComponent(name), db: Number(db) };
}

function addresses(hosts: string, defaultPort: number): Address[] {
  return hosts.split(',').map((text) => {
    const [, bracketed, plain, port] = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
    const host = bracketed ?? plain;
    if (host === undefined) throw bad('the Redis URL has a host that is none');
    return { host, port: port === undefined ? defaultPort : Number(port) };
  });
}

function login(username: string, password: string): Pick<RedisOptions, 'username' | 'password'> {
  return {
    ...(username !== '' && { username: decodeURIComponent(username) }),
    ...(password !== '' && { password: decodeURIComponent(password) }),
  };
}

/** Without a password. */
export function describeRedis({ path, host, port, sentinels, name, clusterNodes }: RedisEndpoint): string {
  const list = (all: readonly { host?: string; port?: number }[]) =>
    all.map((one) => `${one.host}:${one.port}`).join(', ');
  if (clusterNodes !== undefined) return `redis cluster at ${list(clusterNodes)}`;
  if (sentinels) return `redis master ${name} of the sentinels at ${list(sentinels)}`;
  return path === undefined ? `redis at ${host}:${port}` : `redis at ${path}`;
}

export function bad(message: string, remedy = REMEDY): HoldfastError {
  return new HoldfastError('INVALID_ARGUMENT', message, remedy);
}
