import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { openRedis } from '../../coordinator/redis/open';
import { describeRedis, parseRedisUrl } from '../../coordinator/redis/url';
import { freePort } from '../rgw/port';

describe('Redis URLs', () => {
  test.each([
    ['redis://db1', { host: 'db1', port: 6379, db: 0 }],
    ['redis://db1:7000/3', { host: 'db1', port: 7000, db: 3 }],
    ['redis://me:p%40ss@[::1]:7000', { host: '::1', port: 7000, db: 0, username: 'me', password: 'p@ss' }],
    ['rediss://:secret@db1', { host: 'db1', port: 6379, db: 0, password: 'secret', tls: {} }],
    ['unix:///run/redis.sock', { path: '/run/redis.sock' }],
    [
      'redis+sentinel://me:p%40ss@s1,s2:7001,[::1]/main/3',
      {
        ...{ username: 'me', password: 'p@ss', name: 'main', db: 3 },
        sentinels: [
          { host: 's1', port: 26379 },
          { host: 's2', port: 7001 },
          { host: '::1', port: 26379 },
        ],
      },
    ],
    [
      'redis+sentinel://s1/main?sentinel-user=watch&sentinel-password=p%40ss%20w',
      {
        ...{ name: 'main', db: 0, sentinelUsername: 'watch', sentinelPassword: 'p@ss w' },
        sentinels: [{ host: 's1', port: 26379 }],
      },
    ],
    [
      'rediss+cluster://:secret@c1,c2:7001',
      {
        ...{ password: 'secret', tls: {} },
        clusterNodes: [
          { host: 'c1', port: 6379 },
          { host: 'c2', port: 7001 },
        ],
      },
    ],
  ])('%s', (url, options) => expect(parseRedisUrl(url)).toEqual(options));

  test.each([
    ...['', 'db1:6379', 'http://db1', 'redis://', 'redis://db1/x', 'unix://run/redis.sock', 'unix:///'],
    ...[
      'redis+sentinel://s1,s2',
      'redis+sentinel://s1,,s2/main',
      'redis+cluster://c1/3',
      'redis+proxy://a,b',
      'redis+sentinel://s1/main?password=x',
      'redis+cluster://c1?sentinel-password=x',
    ],
  ])('%j is refused', (url) =>
    expect(() => parseRedisUrl(url)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' })),
  );

  test('an error does not repeat the password', () => {
    for (const url of [
      'redis://:secret@db1/x',
      'redis+sentinel://:secret@s1,s2',
      'redis+cluster://:secret@c1/3',
      'redis+sentinel://s1/main?password=secret',
    ])
      expect(() => parseRedisUrl(url)).toThrow(
        expect.objectContaining({ message: expect.not.stringContaining('secret') }),
      );
    for (const url of [
      'redis+sentinel://:secret@s1,s2/main',
      'redis+sentinel://s1/main?sentinel-password=secret',
      'redis+cluster://:secret@c1',
    ])
      expect(describeRedis(parseRedisUrl(url))).not.toContain('secret');
  });
});

describe('a Redis of somebody else', () => {
  let directory = '';
  let server: ChildProcess | null = null;

  beforeEach(() => {
    directory = mkdtempSync('/tmp/holdfast-external-');
  });
  afterEach(async () => {
    if (server !== null) {
      server.kill('SIGKILL');
      await once(server, 'exit');
      server = null;
    }
    rmSync(directory, { recursive: true });
  });

  const socket = () => join(directory, 'socket');
  async function start(...settings: string[]): Promise<void> {
    const argv = [
      '--pdeathsig',
      'KILL',
      '--',
      'redis-server',
      '--port',
      '0',
      '--unixsocket',
      socket(),
      '--dir',
      directory,
    ];
    server = spawn('setpriv', [...argv, ...settings], { stdio: 'ignore' });
    while (!existsSync(socket())) await delay(5);
  }
  const openIt = (reports: string[] = []) =>
    openRedis({
      stateDirectory: directory,
      url: `unix://${socket()}`,
      report: (message) => reports.push(message),
    });

  test('is used as it is', async () => {
    await start('--appendonly', 'yes');
    const reports: string[] = [];
    const redis = await openIt(reports);
    const client = redis.connect();
    expect(await client.ping()).toBe('PONG');
    client.disconnect();
    await redis.close();
    expect(reports).toEqual([]);
    expect(redis.description).toBe(`redis at ${socket()}`);
  });

  test('without an append-only file it is reported', async () => {
    await start('--appendonly', 'no');
    const reports: string[] = [];
    await (await openIt(reports)).close();
    expect(reports).toEqual([expect.stringContaining('no append-only file')]);
  });

  test('one that evicts keys is refused, and the directory is unlocked again', async () => {
    await start('--maxmemory-policy', 'allkeys-lru', '--appendonly', 'yes');
    const refused = { code: 'INVALID_ARGUMENT', message: expect.stringContaining('allkeys-lru') };
    await expect(openIt()).rejects.toMatchObject(refused);
    await expect(openIt()).rejects.toMatchObject(refused);
  });

  test('one that asks for another password is unavailable, and the password is not repeated', async () => {
    const port = await freePort('127.0.0.1');
    await start('--port', String(port), '--requirepass', 'right');
    const url = `redis://:wrong@127.0.0.1:${port}`;
    const error = await openRedis({ stateDirectory: directory, url }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'COORDINATOR_UNAVAILABLE',
      message: expect.stringContaining('WRONGPASS'),
    });
    expect(String(error)).not.toContain('wrong');
  });

  test('one that is not there is unavailable', async () => {
    await expect(openIt()).rejects.toMatchObject({
      code: 'COORDINATOR_UNAVAILABLE',
      message: expect.stringContaining(socket()),
    });
  });
});
