/** The S3 driver against a real RADOS Gateway (test/rgw). */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ObjectStore } from '../../store/contract';
import { openStore } from '../../store/open';
import { S3Store } from '../../store/s3/driver';
import { type Rgw, startRgw } from '../rgw/rgw';
import { seededRandom } from './random';
import { storeSuite } from './store.suite';

const LIMITS = { sockets: 32, connectTimeoutMs: 1_000, idleTimeoutMs: 1_000 };

describe('the S3 store', () => {
  let directory = '';
  let rgw: Rgw;
  const stores: ObjectStore[] = [];

  const start = () => startRgw({ directory: join(directory, 'rgw'), keep: true });
  function storeAt(
    endpoint: string,
    changes: { secretKey?: string; bucket?: string; limits?: typeof LIMITS } = {},
  ) {
    const { accessKey, region } = rgw;
    const { secretKey = rgw.secretKey, bucket = 'contract', limits } = changes;
    const credentials = { accessKey, secretKey };
    const store = new S3Store({
      endpoint: new URL(endpoint),
      bucket,
      region,
      credentials,
      limits,
      pageKeys: 50,
    });
    stores.push(store);
    return store;
  }
  const environment = () => ({
    HOLDFAST_S3_ACCESS_KEY: rgw.accessKey,
    HOLDFAST_S3_SECRET_KEY: rgw.secretKey,
  });

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'holdfast-s3-'));
    rgw = await start();
    await storeAt(rgw.endpoint).open();
  });
  afterAll(async () => {
    for (const store of stores) await store.close();
    await rgw?.stop();
    await rm(directory, { recursive: true });
  });

  describe('contract', () => {
    let store: ObjectStore;
    beforeAll(() => {
      store = storeAt(rgw.endpoint);
    });
    storeSuite('S3', () => store, 180);
  });

  test('two nodes may create the bucket at once', async () => {
    const nodes = Array.from({ length: 8 }, () => storeAt(rgw.endpoint, { bucket: 'created-together' }));
    await Promise.all(nodes.map((node) => node.open()));
    await nodes[0]?.put('a', Buffer.from('x'));
    expect((await nodes[7]?.get('a'))?.toString()).toBe('x');
  });

  test('a wrong secret is refused, and not repeated in the error', async () => {
    const secretKey = 'this-is-the-wrong-secret';
    const store = storeAt(rgw.endpoint, { secretKey });
    const attempts = [
      () => store.open(),
      () => store.put('refused', Buffer.alloc(16 * 2 ** 20)),
      () => store.putIfAbsent('refused', Buffer.from('x')),
      () => store.get('refused'),
      () => store.stat('refused'),
      () => store.delete('refused'),
      async () => {
        for await (const _ of store.list('')) throw new Error('listed');
      },
    ];
    for (const attempt of attempts) {
      const error = await attempt().then(
        () => 'succeeded',
        (thrown: unknown) => thrown,
      );
      expect(error).toMatchObject({ code: 'STORE_REFUSED', remedy: expect.stringContaining('secret key') });
      expect(`${error} ${JSON.stringify(error)}`).not.toContain(secretKey);
      expect(String(error)).toContain(rgw.endpoint);
    }
  });

  test('a bucket that does not exist is refused with a remedy', async () => {
    const putting = storeAt(rgw.endpoint, { bucket: 'never-made' }).put('a', Buffer.from('x'));
    await expect(putting).rejects.toMatchObject({
      code: 'STORE_REFUSED',
      remedy: expect.stringContaining('bucket'),
    });
  });

  test('a prefix in the URL is a store of its own', async () => {
    const url = (prefix: string) => `s3://contract/${prefix}?endpoint=${rgw.endpoint}`;
    const [inner, outer] = [openStore(url('site/a'), environment()), openStore(url(''), environment())];
    stores.push(inner, outer);
    await inner.open();
    await inner.put('jobs/1', Buffer.from('x'));
    const found = [];
    for await (const { key } of inner.list('')) found.push(key);
    expect(found).toEqual(['holdfast-store.json', 'jobs/1']);
    expect((await outer.get('site/a/jobs/1')).toString()).toBe('x');
    expect(inner.description).toBe(`s3://contract at ${rgw.endpoint}, below site/a/`);
  });

  describe('a server that does not answer', () => {
    let server: Server;
    const sockets: Socket[] = [];
    const behaviour = { onConnection: (_: Socket) => {} };
    let endpoint = '';

    beforeAll(async () => {
      server = createServer((socket) => {
        sockets.push(socket.on('error', () => {}));
        behaviour.onConnection(socket);
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const address = server.address();
      if (address === null || typeof address === 'string') throw new Error('no port');
      endpoint = `http://127.0.0.1:${address.port}`;
    });
    afterAll(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });

    test.each([
      ['is silent', () => {}],
      ['hangs up', (socket: Socket) => socket.destroy()],
      [
        'stops in the middle of a reply',
        (socket: Socket) =>
          socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc')),
      ],
      [
        'hangs up in the middle of a reply',
        (socket: Socket) =>
          socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc')),
      ],
      ['talks nonsense', (socket: Socket) => socket.once('data', () => socket.end('hello\r\n\r\n'))],
      [
        'answers with an HTML error page',
        (socket: Socket) =>
          socket.once('data', () =>
            socket.end('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\n\r\n<html>'),
          ),
      ],
    ])('%s: STORE_UNAVAILABLE within its limit', async (_, onConnection) => {
      behaviour.onConnection = onConnection;
      const store = storeAt(endpoint, { limits: LIMITS });
      const beganMs = Date.now();
      const unavailable = { code: 'STORE_UNAVAILABLE', message: expect.stringContaining(endpoint) };
      await expect(store.get('a')).rejects.toMatchObject(unavailable);
      await expect(store.put('a', Buffer.alloc(100_000))).rejects.toMatchObject(unavailable);
      await expect(store.putIfAbsent('a', Buffer.from('x'))).rejects.toMatchObject(unavailable);
      expect(Date.now() - beganMs).toBeLessThan(6 * LIMITS.idleTimeoutMs);
    });
  });

  test('more refusals than sockets leave the sockets usable', async () => {
    const store = storeAt(rgw.endpoint, { limits: { ...LIMITS, sockets: 2 } });
    for (let round = 0; round < 10; round += 1) {
      expect(await store.stat('nothing')).toBeNull();
      await expect(store.get('nothing')).rejects.toMatchObject({ code: 'OBJECT_MISSING' });
    }
    await store.put('usable', Buffer.from('x'));
  });

  describe('the server is killed', () => {
    const random = seededRandom();
    const acknowledged = new Map<string, Buffer>();

    test('in the middle of writes: they end as STORE_UNAVAILABLE', async () => {
      const store = storeAt(rgw.endpoint);
      let killed = false;
      const write = async (writer: number) => {
        for (let number = 0; !killed; number += 1) {
          const [key, body] = [`killed/${writer}/${number}`, random.bytes(random.below(2 ** 20))];
          await store.put(key, body);
          acknowledged.set(key, body);
        }
      };
      const writers = Array.from({ length: 8 }, (_, writer) => write(writer));
      const ends = Promise.allSettled(writers);
      while (acknowledged.size < 50)
        await Promise.race([...writers, new Promise((resolve) => setTimeout(resolve, 5))]);
      for (const pid of rgw.pids) process.kill(pid, 'SIGKILL');
      // A writer whose last object was acknowledged before the kill would go on for ever.
      const results = await ends.finally(() => {
        killed = true;
      });
      for (const result of results) {
        expect(result).toMatchObject({ status: 'rejected', reason: { code: 'STORE_UNAVAILABLE' } });
      }
    });

    test('a server that is down is STORE_UNAVAILABLE at once, and after the retries', async () => {
      const beganMs = Date.now();
      await expect(storeAt(rgw.endpoint).get('a')).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
      expect(Date.now() - beganMs).toBeLessThan(1_000);
      const retries: number[] = [];
      const url = `s3://contract?endpoint=${rgw.endpoint}`;
      const onRetry = (_: Error, attempt: number) => retries.push(attempt);
      const store = openStore(url, environment(), { attempts: 3, baseDelayMs: 10, onRetry });
      await expect(store.open()).rejects.toMatchObject({
        code: 'STORE_UNAVAILABLE',
        message: expect.stringContaining('ECONNREFUSED'),
      });
      expect(retries).toEqual([1, 2]);
      await store.close();
    });

    test('and started again: retries bridge the gap, every acknowledged object is there', async () => {
      const store = openStore(`s3://contract?endpoint=${rgw.endpoint}`, environment(), { attempts: 100 });
      stores.push(store);
      const bridged = store.putIfAbsent('killed/bridged', Buffer.from('written across the gap'));
      await rgw.stop();
      rgw = await start();
      expect(await bridged).toBe(true);
      expect(acknowledged.size).toBeGreaterThanOrEqual(50);
      for (const [key, body] of acknowledged) expect((await store.get(key)).equals(body)).toBe(true);
    });
  });
});
