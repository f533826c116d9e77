import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { Queue, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { type OpenedRedis, openRedis } from '../../coordinator/redis/open';

/** Polls until the condition holds; the test's own time limit ends it otherwise. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await delay(5);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('no stdout');
  const [line] = await once(createInterface(child.stdout), 'line');
  return line;
}

describe('the embedded Redis', () => {
  let stateDirectory = '';
  const opened: OpenedRedis[] = [];
  const clients: Redis[] = [];
  const reports: string[] = [];

  beforeEach(() => {
    stateDirectory = mkdtempSync('/tmp/holdfast-redis-');
    reports.length = 0;
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.disconnect();
    for (const redis of opened.splice(0)) await redis.close();
    rmSync(stateDirectory, { recursive: true });
  });

  async function open(): Promise<OpenedRedis> {
    const redis = await openRedis({ stateDirectory, report: (message) => reports.push(message) });
    opened.push(redis);
    return redis;
  }
  function connect(opened: OpenedRedis): Redis {
    // ioredis waits two seconds for the end of a connection, even of one that is gone.
    const client = opened.connect({ disconnectTimeout: 10 });
    client.on('error', () => undefined);
    clients.push(client);
    return client;
  }
  async function close(redis: OpenedRedis): Promise<void> {
    opened.splice(opened.indexOf(redis), 1);
    await redis.close();
  }

  test('is private, evicts nothing, and syncs every write', async () => {
    const redis = await open();
    const client = connect(redis);
    expect(statSync(join(stateDirectory, 'redis')).mode & 0o777).toBe(0o700);
    const settings = ['port', 'appendonly', 'appendfsync', 'maxmemory-policy', 'save'];
    const values = await Promise.all(settings.map((name) => client.config('GET', name)));
    expect(JSON.stringify(values)).toMatch(/"0".*"yes".*"always".*"noeviction".*""/);
    expect(redis.description).toBe(`embedded redis in ${join(stateDirectory, 'redis')}`);
  });

  test('a clean end keeps the data and leaves no process and no socket', async () => {
    const redis = await open();
    const pid = redis.pid() ?? 0;
    await connect(redis).set('key', 'value');
    await close(redis);
    expect(isAlive(pid)).toBe(false);
    expect(existsSync(join(stateDirectory, 'redis', 'redis.sock'))).toBe(false);
    expect(await connect(await open()).get('key')).toBe('value');
    expect(reports).toEqual([]);
  });

  test('killed three times, it comes back with everything it acknowledged', async () => {
    const redis = await open();
    const client = connect(redis);
    const acknowledged: number[] = [];
    let writing = true;
    const writer = (async () => {
      for (let number = 0; writing; number += 1) {
        await client.set(`key:${number}`, number);
        acknowledged.push(number);
      }
    })();
    for (let kill = 1; kill <= 3; kill += 1) {
      const before = acknowledged.length;
      await until(() => acknowledged.length > before + 50);
      const pid = redis.pid() ?? 0;
      process.kill(pid, 'SIGKILL');
      await until(() => redis.pid() !== pid && reports.length === kill);
    }
    const before = acknowledged.length;
    await until(() => acknowledged.length > before + 10);
    writing = false;
    await writer;
    expect(await client.dbsize()).toBe(acknowledged.length);
    for (const number of acknowledged) expect(await client.get(`key:${number}`)).toBe(String(number));
    expect(reports[0]).toContain('SIGKILL');
  });

  test('BullMQ loses no job over a kill', async () => {
    const redis = await open();
    const done = new Set<number>();
    const connection = redis.connect();
    clients.push(connection);
    const queue = new Queue('work', { connection });
    const worker = new Worker<number>('work', async ({ data }) => done.add(data).size, {
      connection,
      stalledInterval: 500,
      lockDuration: 1_000,
    });
    queue.on('error', () => undefined);
    worker.on('error', () => undefined);
    for (let number = 0; number < 100; number += 1) {
      await queue.add('job', number);
      if (number === 50) process.kill(redis.pid() ?? 0, 'SIGKILL');
    }
    await until(() => done.size === 100);
    await worker.close();
    await queue.close();
  });

  test('a second coordinator on the directory is refused by name', async () => {
    await open();
    await expect(openRedis({ stateDirectory })).rejects.toMatchObject({
      code: 'WRONG_STATE',
      message: expect.stringContaining(`process ${process.pid}`),
    });
  });

  test('a killed coordinator takes it along, and the next one finds the data', async () => {
    const program = `
      const { openRedis } = require('./coordinator/redis/open.ts');
      openRedis({ stateDirectory: ${JSON.stringify(stateDirectory)} }).then(async (redis) => {
        await redis.connect().set('epoch', 7);
        console.log(redis.pid());
      });`;
    const hook = join(__dirname, '..', 'typescript.cjs');
    const root = join(__dirname, '..', '..');
    const child = spawn('node', ['--require', hook, '-e', program], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const pid = Number(await firstLine(child));
    expect(isAlive(pid)).toBe(true);
    child.kill('SIGKILL');
    expect(await connect(await open()).get('epoch')).toBe('7');
    await until(() => !isAlive(pid));
  });

  test('a broken append-only file is CORRUPT, with a way out', async () => {
    const redis = await open();
    await connect(redis).set('key', 'value');
    await close(redis);
    const files = join(stateDirectory, 'redis', 'appendonlydir');
    const name = readdirSync(files).find((each) => each.endsWith('.incr.aof')) ?? '';
    writeFileSync(join(files, name), '*3\r\n$3\r\nSET\r\nnonsense nonsense nonsense\r\n*1\r\n$4\r\nPING\r\n');
    await expect(openRedis({ stateDirectory })).rejects.toMatchObject({
      code: 'CORRUPT',
      remedy: expect.stringContaining('redis-check-aof'),
    });
    rmSync(join(stateDirectory, 'redis'), { recursive: true });
    await open();
  });

  test('without the program the error says what to install', async () => {
    const path = process.env.PATH;
    const tools = join(stateDirectory, 'tools');
    mkdirSync(tools);
    for (const tool of ['setpriv', 'flock']) symlinkSync(`/usr/bin/${tool}`, join(tools, tool));
    process.env.PATH = tools;
    try {
      await expect(openRedis({ stateDirectory })).rejects.toMatchObject({
        code: 'NOT_FOUND',
        remedy: expect.stringContaining('install the package redis-server'),
      });
    } finally {
      process.env.PATH = path;
    }
  });

  test('a state directory whose socket would have too long a path is refused', async () => {
    const deep = join(stateDirectory, 'd'.repeat(100));
    mkdirSync(deep);
    await expect(openRedis({ stateDirectory: deep })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('too long'),
    });
  });
});
