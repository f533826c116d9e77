import { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { HoldfastError } from '../../core/errors';
import type { PutOptions } from '../../store/contract';
import { downloadStream, fetchVerified, MAX_SEGMENT_BYTES, uploadStream } from '../../store/stream';
import { MemoryStore } from '../contract/memoryStore';

const segmentBytes = 1000;

/** Counts what is on its way, and takes its time over every write. */
class SlowStore extends MemoryStore {
  putting = 0;
  putsAtOnce = 0;
  gets = 0;
  fails: HoldfastError | null = null;

  override async put(key: string, body: Uint8Array, options?: PutOptions): Promise<void> {
    this.putsAtOnce = Math.max(this.putsAtOnce, ++this.putting);
    for (let turns = 0; turns < 5; turns += 1) await turn();
    this.putting -= 1;
    if (this.fails !== null) throw this.fails;
    await super.put(key, body, options);
  }

  override async get(key: string, range?: { offset: number; length: number }): Promise<Buffer> {
    this.gets += 1;
    return super.get(key, range);
  }
}

describe('uploadStream', () => {
  test('reads no more than two segments ahead of what is stored', async () => {
    const store = new SlowStore();
    let readBytes = 0;
    let aheadBytes = 0;
    async function* source() {
      for (let chunk = 0; chunk < 200; chunk += 1) {
        readBytes += 100;
        aheadBytes = Math.max(aheadBytes, readBytes - store.objects.size * segmentBytes);
        yield Buffer.alloc(100, chunk);
      }
    }
    const ref = await uploadStream(store, source(), 'stream', { segmentBytes, encoding: 'tar+zstd' });
    expect(ref.encoding).toBe('tar+zstd');
    expect(store.objects.size).toBe(20);
    expect(store.putsAtOnce).toBe(1);
    expect(aheadBytes).toBeGreaterThan(segmentBytes);
    expect(aheadBytes).toBeLessThanOrEqual(2 * segmentBytes + 100);
  });

  test('takes strings and large chunks too', async () => {
    const store = new MemoryStore();
    const ref = await uploadStream(store, Readable.from(['ä'.repeat(1500), Buffer.alloc(2500, 'b')]), 's', {
      segmentBytes,
    });
    expect(ref.segments.map(({ sizeBytes }) => sizeBytes)).toEqual([1000, 1000, 1000, 1000, 1000, 500]);
    const chunks = await downloadStream(store, ref).toArray();
    expect(Buffer.concat(chunks).toString()).toBe('ä'.repeat(1500) + 'b'.repeat(2500));
  });

  test('a write that fails ends the upload and the source, and nothing is still being written', async () => {
    const store = new SlowStore();
    store.fails = new HoldfastError('STORE_REFUSED', 'no');
    const source = Readable.from(
      (function* () {
        for (;;) yield Buffer.alloc(300);
      })(),
    );
    await expect(uploadStream(store, source, 's', { segmentBytes })).rejects.toBe(store.fails);
    expect(source.destroyed).toBe(true);
    expect(store.putting).toBe(0);
  });

  test.each([0, -1, 1.5, MAX_SEGMENT_BYTES + 1])('segments of %d bytes are refused', async (wrong) => {
    const uploading = uploadStream(new MemoryStore(), Readable.from([]), 's', { segmentBytes: wrong });
    await expect(uploading).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

describe('downloadStream', () => {
  test('fetches no more than two segments ahead of a slow reader', async () => {
    const store = new SlowStore();
    const ref = await uploadStream(store, Readable.from([Buffer.alloc(20 * segmentBytes)]), 's', {
      segmentBytes,
    });
    let received = 0;
    for await (const chunk of downloadStream(store, ref)) {
      received += chunk.length / segmentBytes;
      for (let turns = 0; turns < 50; turns += 1) await turn();
      expect(store.gets - received).toBeLessThanOrEqual(2);
    }
    expect(received).toBe(20);
  });

  test.each([-1, MAX_SEGMENT_BYTES + 1])(
    'a manifest that records %d bytes does not decide about memory',
    async (sizeBytes) => {
      const store = new SlowStore();
      await store.put('key', Buffer.alloc(10));
      const fetching = fetchVerified(store, { key: 'key', sizeBytes, sha256: '' });
      await expect(fetching).rejects.toMatchObject({ code: 'CORRUPT' });
      expect(store.gets).toBe(0);
    },
  );
});
