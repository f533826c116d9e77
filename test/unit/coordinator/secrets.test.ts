/** What is secret stays out of logs, metrics and traces, also when something goes wrong. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { startCoordinator } from '../../../coordinator/main';
import { openLog } from '../../../core/log';
import { hasSecret, withoutSecrets } from '../../../core/secrets';
import { freePort } from '../../rgw/port';
import { FakeCluster } from './support/cluster';
import { scrape } from './support/scrape';

const PASSWORD = 'hunter2-of-redis';
const TOKEN = 'token-of-the-collector';
const S3_SECRET = 'secret-of-the-store';

let directory: string;
let redis: ChildProcess;
let redisUrl: string;
let collector: Server;
interface Received {
  readonly body: string;
  readonly authorization: string | undefined;
}
let received: Received[];
let whenReceived: (request: Received) => void;

beforeEach(async () => {
  directory = mkdtempSync('/tmp/hf-secrets-');
  const port = await freePort('127.0.0.1');
  redisUrl = `redis://:${PASSWORD}@127.0.0.1:${port}`;
  const settings = [
    '--port',
    `${port}`,
    '--requirepass',
    PASSWORD,
    '--dir',
    directory,
    '--appendonly',
    'yes',
  ];
  redis = spawn('setpriv', ['--pdeathsig', 'KILL', '--', 'redis-server', ...settings], { stdio: 'ignore' });
  const client = new Redis(redisUrl, { maxRetriesPerRequest: null, retryStrategy: () => 20 });
  client.on('error', () => {});
  await client.ping();
  client.disconnect();
  received = [];
  whenReceived = () => {};
  collector = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const one = { body, authorization: request.headers.authorization };
    received.push(one);
    whenReceived(one);
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  }).listen(0, '127.0.0.1');
  await once(collector, 'listening');
});

afterEach(async () => {
  redis.kill('SIGKILL');
  await once(redis, 'exit');
  collector.close();
  rmSync(directory, { recursive: true });
});

/** The contents of all files below a directory. */
async function everythingIn(place: string): Promise<string[]> {
  const entries = await readdir(place, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return Promise.all(files.map(({ parentPath, name }) => readFile(join(parentPath, name), 'latin1')));
}

test('the password of Redis and the header of the collector are used, and seen nowhere', async () => {
  const { port } = collector.address() as AddressInfo;
  const log: string[] = [];
  const metrics = `127.0.0.1:${await freePort('127.0.0.1')}`;
  const cluster = await FakeCluster.apart(
    ['n1'],
    { redisUrl, metrics, logLevel: 'trace' },
    {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
      OTEL_EXPORTER_OTLP_HEADERS: `authorization=${TOKEN}`,
      OTEL_BSP_SCHEDULE_DELAY: '10',
      HOLDFAST_S3_ACCESS_KEY: 'access',
      HOLDFAST_S3_SECRET_KEY: S3_SECRET,
    },
    (text) => log.push(text),
  );
  const isExported = new Promise<void>((resolve) => {
    whenReceived = ({ body }) => body.includes('"name":"checkpoint"') && resolve();
  });
  const user = cluster.user();
  const job = await user.submit({ nodes: ['n1'] });
  await user.checkpoint(job.id);
  await isExported;
  const { text } = await scrape(metrics);
  const written = [...(await everythingIn(cluster.directory)), ...(await everythingIn(directory))];
  await cluster.stop();

  // Its state, its store with the manifest, and the file of the site's Redis.
  expect(written.some((text) => text.includes('holdfast-manifest'))).toBe(true);
  expect(written.some((text) => text.includes(job.id))).toBe(true);
  for (const secret of [PASSWORD, TOKEN, S3_SECRET]) expect(written.join()).not.toContain(secret);
  expect(new Set(received.map(({ authorization }) => authorization))).toEqual(new Set([TOKEN]));
  const traces = received.map(({ body }) => body).join('\n');
  expect(traces).toContain('holdfast-coordinator');
  expect(log.join('')).toContain('coordinator ready');
  for (const shown of [log.join(''), text, traces]) {
    expect(shown).not.toContain(PASSWORD);
    expect(shown).not.toContain(TOKEN);
    expect(shown).not.toContain(S3_SECRET);
  }
});

test('a wrong password is told without it', async () => {
  const log: string[] = [];
  const failing = startCoordinator(
    {
      insecureLoopback: true,
      listen: '127.0.0.1:0',
      stateDirectory: directory,
      storeUrl: `file://${directory}/store`,
      toolsSocket: `${directory}/run/coordinator.sock`,
      redisUrl: redisUrl.replace(PASSWORD, 'wrong-password'),
    },
    {
      peerCredentials: () => ({ pid: 1, uid: 0, gid: 0 }),
      logSink: { write: (line) => void log.push(line) },
    },
  );
  await expect(failing).rejects.toMatchObject({ message: expect.not.stringContaining('wrong-password') });
  expect(log.join('')).not.toContain('wrong-password');
});

test('an error of the Redis client is logged without the arguments of its command', async () => {
  const log: string[] = [];
  const client = new Redis(redisUrl.replace(PASSWORD, 'wrong-password'), { retryStrategy: () => null });
  client.on('error', () => {});
  const error = await client.ping().then(
    () => null,
    (thrown) => thrown,
  );
  client.disconnect();
  expect(JSON.stringify(error)).toContain('wrong-password');
  openLog('coordinator', 'info', { write: (line) => void log.push(line) }).error({ err: error }, 'redis');
  expect(log[0]).toContain('WRONGPASS');
  expect(log[0]).not.toContain('wrong-password');
});

test.each([
  ['redis://:secret@head:6379/0', 'redis://:***@head:6379/0'],
  ['redis://me:s3cr@t@head', 'redis://me:***@head'],
  ['redis://head?password=secret&db=1', 'redis://head?password=***&db=1'],
  [
    'cannot reach rediss://me:secret@head and redis://:other@head',
    'cannot reach rediss://me:***@head and redis://:***@head',
  ],
])('%s is shown as %s', (text, shown) => {
  expect(withoutSecrets(text)).toBe(shown);
  expect(hasSecret(text)).toBe(true);
});

test.each([
  'redis://head:6379',
  's3://bucket/prefix?endpoint=https://s3.example.org:443&region=eu',
  '/tmp/a:b@c',
  'file:///x',
])('%s has no secret', (text) => {
  expect(withoutSecrets(text)).toBe(text);
  expect(hasSecret(text)).toBe(false);
});
