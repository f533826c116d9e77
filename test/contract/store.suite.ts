/** The suite every object store implementation passes. */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { ObjectInfo, ObjectStore } from '../../store/contract';
import { downloadStream, uploadStream } from '../../store/stream';
import { seededRandom } from './random';

const MIB = 2 ** 20;
const random = seededRandom();
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

async function keysOf(store: ObjectStore, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys;
}

/**
 * @param name  of the implementation
 * @param opened gives the opened store; called in the tests, after beforeAll
 * @param listedKeys how many keys the listing test stores: more than the store's page
 * @param longestKey bytes the store leaves for a key
 */
export function storeSuite(
  name: string,
  opened: () => ObjectStore,
  listedKeys: number,
  longestKey = 512,
): void {
  describe(`${name}, seed ${random.seed}`, () => {
    let counter = 0;
    /** A key prefix of its own for every test. */
    const fresh = () => `suite/${++counter}`;

    test.each([0, 1, 4096, MIB + 17, 16 * MIB])('an object of %d bytes comes back', async (sizeBytes) => {
      const [key, body] = [`${fresh()}/object`, random.bytes(sizeBytes)];
      await opened().put(key, body, { sha256: sha256(body) });
      expect((await opened().get(key)).equals(body)).toBe(true);
      expect(await opened().stat(key)).toMatchObject({ key, sizeBytes });
    });

    test('a part of a larger buffer is stored, and not its neighbourhood', async () => {
      const [key, whole] = [`${fresh()}/part`, random.bytes(1000)];
      await opened().put(key, new Uint8Array(whole.buffer, whole.byteOffset + 100, 50));
      expect(await opened().get(key)).toEqual(whole.subarray(100, 150));
    });

    test('ranges', async () => {
      const [key, body] = [`${fresh()}/ranges`, random.bytes(300_000)];
      await opened().put(key, body);
      for (let round = 0; round < 20; round += 1) {
        const offset = random.below(body.length);
        const length = random.below(body.length - offset + 1);
        expect(
          (await opened().get(key, { offset, length })).equals(body.subarray(offset, offset + length)),
        ).toBe(true);
      }
      expect(await opened().get(key, { offset: body.length - 1, length: 1 })).toEqual(body.subarray(-1));
      expect(await opened().get(key, { offset: body.length, length: 0 })).toHaveLength(0);
    });

    test('a buffer of the caller holds the bytes when they fit, and only then', async () => {
      const [key, body] = [`${fresh()}/into`, random.bytes(200_000)];
      await opened().put(key, body);
      const room = Buffer.alloc(150_000);
      const range = { offset: 1000, length: 150_000 };
      const inside = await opened().get(key, range, room);
      expect(inside.equals(body.subarray(1000, 151_000))).toBe(true);
      expect(room.equals(inside)).toBe(true);
      expect(inside.buffer).toBe(room.buffer);
      const short = await opened().get(key, { offset: 5, length: 10 }, room);
      expect(short.equals(body.subarray(5, 15))).toBe(true);
      expect((await opened().get(key, undefined, room)).equals(body)).toBe(true);
    });

    test('a range that leaves the object is CORRUPT', async () => {
      const key = `${fresh()}/short`;
      await opened().put(key, random.bytes(1000));
      for (const range of [
        { offset: 990, length: 11 },
        { offset: 1000, length: 1 },
        { offset: 5000, length: 10 },
      ]) {
        await expect(opened().get(key, range)).rejects.toMatchObject({ code: 'CORRUPT' });
      }
    });

    test('a second put replaces the object whole', async () => {
      const key = `${fresh()}/replaced`;
      await opened().put(key, random.bytes(5000));
      const second = random.bytes(300);
      await opened().put(key, second);
      expect(await opened().get(key)).toEqual(second);
      expect((await opened().stat(key))?.sizeBytes).toBe(300);
    });

    test('the time of the last change is about now', async () => {
      const key = `${fresh()}/time`;
      await opened().put(key, random.bytes(1));
      const { modifiedMs = 0 } = (await opened().stat(key)) ?? {};
      // S3 counts in seconds.
      expect(Math.abs(modifiedMs - Date.now())).toBeLessThan(10_000);
    });

    test('a body that does not have the given SHA-256 is CORRUPT and changes nothing', async () => {
      const [key, before] = [`${fresh()}/checked`, random.bytes(2000)];
      await opened().put(key, before);
      const changed = random.bytes(2 * MIB);
      const checksum = sha256(changed);
      changed.writeUInt8(changed.readUInt8(MIB) ^ 1, MIB);
      await expect(opened().put(key, changed, { sha256: checksum })).rejects.toMatchObject({
        code: 'CORRUPT',
      });
      expect(await opened().get(key)).toEqual(before);
    });

    test('what is missing', async () => {
      const key = `${fresh()}/nothing`;
      expect(await opened().stat(key)).toBeNull();
      await expect(opened().get(key)).rejects.toMatchObject({ code: 'OBJECT_MISSING' });
      await expect(opened().get(key, { offset: 5, length: 5 })).rejects.toMatchObject({
        code: 'OBJECT_MISSING',
      });
      await expect(opened().get(key, { offset: 0, length: 0 })).rejects.toMatchObject({
        code: 'OBJECT_MISSING',
      });
      expect(await keysOf(opened(), key)).toEqual([]);
    });

    test('an error names the key and the store', async () => {
      const key = `${fresh()}/named`;
      const error = await opened()
        .get(key)
        .catch((thrown: Error) => thrown);
      expect(String(error)).toContain(key);
      expect(opened().description).not.toBe('');
    });

    test('delete removes, and removing again succeeds', async () => {
      const prefix = fresh();
      const [key, neighbour] = [`${prefix}/deep/er/gone`, `${prefix}/deep/stays`];
      await opened().put(key, random.bytes(10));
      await opened().put(neighbour, random.bytes(10));
      await opened().delete(key);
      await opened().delete(key);
      expect(await opened().stat(key)).toBeNull();
      expect(await keysOf(opened(), `${prefix}/`)).toEqual([neighbour]);
      await opened().put(key, random.bytes(20));
      expect((await opened().stat(key))?.sizeBytes).toBe(20);
    });

    test.each([
      '',
      '/',
      'a/',
      '/a',
      'a//b',
      '.',
      '..',
      'a/../b',
      '../../etc/passwd',
      'a/./b',
      'ä',
      'a b',
      'a\0b',
      'a\nb',
    ])('the key %j is refused by every function', async (key) => {
      const refused = { code: 'INVALID_ARGUMENT' };
      await expect(opened().put(key, Buffer.alloc(1))).rejects.toMatchObject(refused);
      await expect(opened().putIfAbsent(key, Buffer.alloc(1))).rejects.toMatchObject(refused);
      await expect(opened().get(key)).rejects.toMatchObject(refused);
      await expect(opened().stat(key)).rejects.toMatchObject(refused);
      await expect(opened().delete(key)).rejects.toMatchObject(refused);
    });

    test('keys at the limits of their length', async () => {
      const part = 'x'.repeat(200);
      const longest = `${part}/${part}/${'y'.repeat(longestKey - 402)}`;
      await opened().put(longest, Buffer.from('long'));
      expect((await opened().get(longest)).toString()).toBe('long');
      await opened().delete(longest);
      await expect(opened().put(`${longest}y`, Buffer.alloc(1))).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
    });

    test('a prefix that leaves the store is refused', async () => {
      await expect(keysOf(opened(), '../')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
      await expect(keysOf(opened(), 'a/../../etc/')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    });

    test(`${listedKeys} keys are listed in key order`, async () => {
      const prefix = fresh();
      const keys = Array.from({ length: listedKeys }, (_, index) => {
        const separator = ['-', '.', '/', '0', '_'][random.below(5)];
        return `${prefix}/${'abc'.charAt(random.below(3))}d${separator}${index}`;
      });
      await inBatches(16, keys, (key) => opened().put(key, Buffer.from(key)));
      const found: ObjectInfo[] = [];
      for await (const info of opened().list(`${prefix}/`)) found.push(info);
      expect(found.map(({ key }) => key)).toEqual([...keys].sort());
      expect(found.every(({ key, sizeBytes }) => sizeBytes === key.length)).toBe(true);
      const some = keys.filter((key) => key.startsWith(`${prefix}/b`)).sort();
      expect(await keysOf(opened(), `${prefix}/b`)).toEqual(some);
    });

    test('keys that look like numbers or booleans are listed as they are', async () => {
      const prefix = fresh();
      const names = ['0012', '12', '1e5', '0x10', 'true', 'false', 'null', '1.0'];
      for (const each of names) await opened().put(`${prefix}/${each}`, Buffer.from('x'));
      expect(await keysOf(opened(), `${prefix}/`)).toEqual(names.map((each) => `${prefix}/${each}`).sort());
      for (const each of ['000123', 'false']) {
        await opened().put(each, Buffer.from('x'));
        expect(await keysOf(opened(), each)).toEqual([each]);
        await opened().delete(each);
      }
    });

    test('a listing may be left early', async () => {
      const prefix = fresh();
      for (const each of ['a', 'b', 'c']) await opened().put(`${prefix}/${each}`, Buffer.from('x'));
      for await (const { key } of opened().list(prefix)) {
        expect(key).toBe(`${prefix}/a`);
        break;
      }
    });

    test.each([
      [100, 10],
      [3, 5 * MIB],
    ])('%d rounds of 16 concurrent creates of %d bytes have one winner each', async (rounds, sizeBytes) => {
      const prefix = fresh();
      const bodies = Array.from({ length: 16 }, () => random.bytes(sizeBytes));
      for (let round = 0; round < rounds; round += 1) {
        const key = `${prefix}/${round}`;
        const won = await Promise.all(bodies.map((body) => opened().putIfAbsent(key, body)));
        expect(won.filter(Boolean)).toHaveLength(1);
        const stored = await opened().get(key);
        expect(stored.equals(bodies[won.indexOf(true)] ?? Buffer.alloc(0))).toBe(true);
      }
    });

    test('a create of what exists changes nothing; after a delete it succeeds', async () => {
      const key = `${fresh()}/created`;
      await opened().put(key, Buffer.from('first'));
      expect(await opened().putIfAbsent(key, Buffer.from('second'))).toBe(false);
      expect((await opened().get(key)).toString()).toBe('first');
      await opened().delete(key);
      expect(await opened().putIfAbsent(key, Buffer.from('third'))).toBe(true);
      expect((await opened().get(key)).toString()).toBe('third');
    });

    test('opening again is harmless', async () => {
      const key = `${fresh()}/kept`;
      await opened().put(key, Buffer.from('kept'));
      await opened().open();
      expect((await opened().get(key)).toString()).toBe('kept');
    });

    describe('streams', () => {
      const segmentBytes = 256 * 1024;

      /** In chunks of odd sizes, as a pipe delivers them. */
      function* inChunks(bytes: Buffer): Generator<Buffer> {
        for (let at = 0; at < bytes.length; ) {
          const chunk = bytes.subarray(at, at + 1 + random.below(100_000));
          at += chunk.length;
          yield chunk;
        }
      }
      const upload = (bytes: Buffer, prefix: string) =>
        uploadStream(opened(), Readable.from(inChunks(bytes)), prefix, { segmentBytes });

      test.each([0, 1, segmentBytes - 1, segmentBytes, segmentBytes + 1, 3 * segmentBytes, 1_234_567])(
        '%d bytes come back',
        async (sizeBytes) => {
          const [prefix, bytes] = [`${fresh()}/images`, random.bytes(sizeBytes)];
          const ref = await upload(bytes, prefix);
          expect(ref.segments.map(({ key }) => key)).toEqual(await keysOf(opened(), prefix));
          expect(ref.segments).toHaveLength(Math.ceil(sizeBytes / segmentBytes));
          if (sizeBytes > 0) expect(ref.segments[0]?.key).toBe(`${prefix}-00001`);
          expect((await buffer(downloadStream(opened(), ref))).equals(bytes)).toBe(true);
        },
      );

      /** What a reader got before the error. */
      async function readUntilError(stream: Readable): Promise<{ bytes: number; code: unknown }> {
        let bytes = 0;
        try {
          for await (const chunk of stream) bytes += chunk.length;
        } catch (error) {
          return { bytes, code: error instanceof Error && 'code' in error ? error.code : error };
        }
        return { bytes, code: 'no error' };
      }

      test.each([
        [
          'a changed bit',
          (body: Buffer) => Buffer.from(body).fill(body.readUInt8(77) ^ 4, 77, 78),
          'CORRUPT',
        ],
        ['a missing end', (body: Buffer) => body.subarray(0, -1), 'CORRUPT'],
        ['a longer object', (body: Buffer) => Buffer.concat([body, Buffer.alloc(1)]), 'CORRUPT'],
        ['an empty object', () => Buffer.alloc(0), 'CORRUPT'],
        ['a missing object', () => null, 'OBJECT_MISSING'],
      ])('%s in the second segment stops the stream after the first', async (_, damage, code) => {
        const bytes = random.bytes(4 * segmentBytes);
        const ref = await upload(bytes, `${fresh()}/damaged`);
        const key = ref.segments[1]?.key ?? '';
        const damaged = damage(await opened().get(key));
        if (damaged === null) await opened().delete(key);
        else await opened().put(key, damaged);
        expect(await readUntilError(downloadStream(opened(), ref))).toEqual({ bytes: segmentBytes, code });
      });

      test('an error of the source is the error of the upload', async () => {
        async function* failing() {
          yield random.bytes(segmentBytes * 2);
          throw new Error('the source failed');
        }
        const uploading = uploadStream(opened(), Readable.from(failing()), `${fresh()}/failing`, {
          segmentBytes,
        });
        await expect(uploading).rejects.toThrow('the source failed');
      });

      test('a reader may leave early', async () => {
        const ref = await upload(random.bytes(4 * segmentBytes), `${fresh()}/left`);
        const stream = downloadStream(opened(), ref);
        for await (const chunk of stream) {
          expect(chunk).toHaveLength(segmentBytes);
          break;
        }
        expect(stream.destroyed).toBe(true);
      });
    });
  });
}

export async function inBatches<T>(size: number, items: readonly T[], step: (item: T) => Promise<unknown>) {
  for (let at = 0; at < items.length; at += size) await Promise.all(items.slice(at, at + size).map(step));
}
