/** Memory that packs are read into, used again and again: fresh memory for each would cost more than the reading. */
import { HoldfastError } from '../../core/errors';
import type { ObjectRef } from '../../proto/gen/holdfast/v1/manifest';
import type { ObjectStore } from '../../store/contract';

/** What a capture never exceeds (docs/format.md). */
const LARGEST_PACK_BYTES = 64 << 20;

/**
 * What a pack is verified by as a whole before any of it is put into a process; null where its blobs verify themselves: what is
 * encrypted is authentic or does not open.
 */
export const packChecksum = ({ encryptionKey, xxh3, sha256 }: ObjectRef): string | null =>
  encryptionKey === undefined ? (xxh3 ?? sha256) : null;

export class PackRoom {
  private room: Buffer | undefined;

  constructor(private readonly largestBytes: number) {}

  static forPacks(packs: readonly ObjectRef[]): PackRoom {
    return new PackRoom(packs.reduce((largest, { sizeBytes }) => Math.max(largest, sizeBytes), 0));
  }

  /** The pack's bytes, valid until the next call. Whoever reads them has to verify them. */
  async fetch(store: ObjectStore, { key, sizeBytes }: ObjectRef): Promise<Buffer> {
    if (sizeBytes < 0 || this.largestBytes > LARGEST_PACK_BYTES) {
      const problem = `${key} of ${store.description} is recorded with ${sizeBytes} bytes`;
      throw new HoldfastError('CORRUPT', problem, 'use another generation and check the storage');
    }
    this.room ??= Buffer.allocUnsafeSlow(this.largestBytes);
    return store.get(key, { offset: 0, length: sizeBytes }, this.room);
  }
}
