/** A double of the object store, for tests of what is around it. It passes the suite of the real ones. */
import { HoldfastError } from '../../core/errors';
import {
  type ByteRange,
  type ObjectInfo,
  type ObjectStore,
  type PutOptions,
  roomFor,
} from '../../store/contract';
import { checkKey, checkPrefix } from '../../store/key';
import { checkSha256 } from '../../store/sha256';

export class MemoryStore implements ObjectStore {
  readonly description = 'memory';
  readonly objects = new Map<string, { body: Buffer; modifiedMs: number }>();

  async put(key: string, body: Uint8Array, { sha256 }: PutOptions = {}): Promise<void> {
    checkKey(key);
    if (sha256 !== undefined) await checkSha256(body, sha256, key);
    this.objects.set(key, { body: Buffer.from(body), modifiedMs: Date.now() });
  }

  async putIfAbsent(key: string, body: Uint8Array): Promise<boolean> {
    if (this.objects.has(checkKey(key))) return false;
    this.objects.set(key, { body: Buffer.from(body), modifiedMs: Date.now() });
    return true;
  }

  async get(key: string, range?: ByteRange, into?: Buffer): Promise<Buffer> {
    const found = this.objects.get(checkKey(key));
    if (found === undefined) throw new HoldfastError('OBJECT_MISSING', `${key} in memory`);
    const { offset, length } = range ?? { offset: 0, length: found.body.length };
    const end = offset + length;
    if (end > found.body.length) throw new HoldfastError('CORRUPT', `${key} ends before byte ${end}`);
    const room = roomFor(length, into);
    found.body.copy(room, 0, offset, end);
    return room;
  }

  async stat(key: string): Promise<ObjectInfo | null> {
    const found = this.objects.get(checkKey(key));
    return found === undefined ? null : { key, sizeBytes: found.body.length, modifiedMs: found.modifiedMs };
  }

  async *list(prefix: string): AsyncIterable<ObjectInfo> {
    checkPrefix(prefix);
    for (const key of [...this.objects.keys()].sort()) {
      const info = key.startsWith(prefix) ? await this.stat(key) : null;
      if (info !== null) yield info;
    }
  }

  async delete(key: string): Promise<void> {
    this.objects.delete(checkKey(key));
  }

  async open(): Promise<void> {}
  async close(): Promise<void> {}
}
