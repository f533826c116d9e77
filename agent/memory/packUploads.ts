/** Packs on their way into the store, side by side; each gives its buffer back to the engine when it is stored. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Capture, Pack } from '../../native';
import type { ObjectRef } from '../../proto/gen/holdfast/v1/manifest';
import type { ObjectStore } from '../../store/contract';
import type { UploadLimit } from './uploadLimit';
import type { UploadRate } from './uploadRate';

export const packKey = (prefix: string, number: number): string =>
  `${prefix}/pack-${String(number).padStart(5, '0')}`;

export interface UploadsTo {
  readonly store: ObjectStore;
  /** Of the keys of new packs. */
  readonly keyPrefix: string;
  /** Gives up with its reason. */
  readonly signal: AbortSignal;
  /** Of this node, measured by what it stores. */
  readonly uploadRate: UploadRate;
  readonly uploadLimit: UploadLimit;
  /** That the packs' blobs are encrypted with; undefined: none. */
  readonly encryptionKey: string | undefined;
  /** Where a pack is noted when it is in the store. */
  readonly stored: Map<number, ObjectRef>;
}

export class PackUploads {
  private readonly running = new Set<Promise<void>>();
  private storedBytes = 0;
  /** Why the capture was given up; null while all goes well. */
  failure: unknown = null;

  constructor(
    private readonly capture: Capture,
    private readonly to: UploadsTo,
  ) {
    const { signal, uploadRate } = to;
    capture.setUploadRate(uploadRate.bytesPerS);
    if (signal.aborted) this.onAbort();
    signal.addEventListener('abort', this.onAbort, { once: true });
  }

  add(pack: Pack): void {
    const upload = this.upload(pack)
      .catch((error) => this.giveUp(error))
      .finally(() => this.running.delete(upload));
    this.running.add(upload);
  }

  /** Waits for all uploads; then the engine's memory is free again. Returns the bytes stored. */
  async finish(): Promise<number> {
    await Promise.all(this.running);
    this.to.signal.removeEventListener('abort', this.onAbort);
    this.capture.close();
    if (this.failure !== null) throw this.failure;
    return this.storedBytes;
  }

  get bytesStored(): number {
    return this.storedBytes;
  }

  private readonly onAbort = (): void => this.giveUp(this.to.signal.reason);

  giveUp(why: unknown): void {
    this.failure ??= why;
    this.capture.close(); // its next() may be waiting for a buffer that will never be given back
  }

  private async upload(pack: Pack): Promise<void> {
    if (this.failure !== null) return;
    const { store, keyPrefix, uploadRate, uploadLimit, signal, encryptionKey, stored } = this.to;
    const key = packKey(keyPrefix, pack.number);
    const { sha256, xxh3 } = pack;
    const sizeBytes = pack.body.length;
    // The wait counts as the store's time: then the codec that shrinks most is worth it.
    uploadRate.begin();
    try {
      await delay(uploadLimit.take(sizeBytes), undefined, { signal });
      await store.put(key, pack.body, { sha256 });
      uploadRate.end(sizeBytes);
    } catch (error) {
      uploadRate.end(0);
      throw error;
    }
    stored.set(pack.number, { key, sizeBytes, sha256, xxh3, encryptionKey });
    this.storedBytes += sizeBytes;
    if (this.failure !== null) return;
    this.capture.setUploadRate(uploadRate.bytesPerS);
    this.capture.recycle(pack.number);
  }
}
