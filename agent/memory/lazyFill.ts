/** The memory of a tree that runs already: what it waits for first, then all the rest, from the store. */
import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { HoldfastError, toHoldfastError } from '../../core/errors';
import { faultPoint } from '../../core/faults';
import { type FillTarget, type LazyFill, startLazyFill } from '../../native';
import type { ObjectRef } from '../../proto/gen/holdfast/v1/manifest';
import type { ObjectStore } from '../../store/contract';
import type { KeysById } from '../../store/stream';
import { newestFirst, PackQueue } from './packQueue';
import { PackRoom, packChecksum } from './packRoom';

const THREADS = 2;
/** Packs on the way at the same time: one for each thread, and one that is being fetched. */
const PARALLEL_PACKS = 3;
/** Blobs that the gate waits for, fetched at the same time. */
const PARALLEL_BLOBS = 8;
const RETRY_MS = 1_000;
/** A store that takes longer for one range counts as unavailable. */
const SLOW_MS = 3_000;
const COMPLETE_LOOK_MS = 10;
const PAGE_BYTES = 4096;
/** What no retry cures: the tree cannot go on. Everything else may be over some time. */
const FATAL = new Set([
  'CORRUPT',
  'UNKNOWN_FORMAT',
  'OBJECT_MISSING',
  'KEY_UNAVAILABLE',
  'INTERNAL',
  'INJECTED_FAULT',
]);

/** Whether the kernel can tell us of missing pages. */
export const hasUserfault = (): boolean => existsSync('/proc/sys/vm/unprivileged_userfaultfd');

export interface FillStatus {
  readonly residentBytes: number;
  readonly totalBytes: number;
  /** Wall clock; 0 while the store answers. */
  readonly storeUnavailableSinceMs: number;
}

export interface LazyMemoryFillOptions {
  readonly store: ObjectStore;
  readonly packs: readonly ObjectRef[];
  /** Of the packs that are encrypted. */
  readonly keys: KeysById;
  readonly log: Logger;
  readonly onForked: (fd: number) => void;
  /** No page will come any more: the tree has to be ended. */
  readonly onFailed: (error: HoldfastError) => void;
  readonly onComplete: () => void;
}

export class LazyMemoryFill {
  private readonly native: LazyFill;
  private readonly queue: PackQueue;
  private readonly outstanding = new Map<symbol, number>();
  private readonly wanted = new Set<number>();
  private readonly slowCheck: NodeJS.Timeout;
  private isStoreSlow = false;
  /** The tree runs: it waits until the store is back. Before, the restart fails. */
  private isReleased = false;
  private closed = false;

  constructor(
    index: Buffer,
    private readonly options: LazyMemoryFillOptions,
  ) {
    this.native = startLazyFill(index, {
      threads: THREADS,
      keys: [...options.keys.values()],
      onWanted: (chunks) => {
        for (const chunk of chunks) this.serve(chunk);
      },
      onForked: (descriptors) => descriptors.forEach(options.onForked),
    });
    this.queue = new PackQueue(this.native.missingPacks(), newestFirst(options.packs.length));
    this.slowCheck = setInterval(() => this.watchStore(), RETRY_MS);
    this.slowCheck.unref();
  }

  /** Serves a process from now on: CRIU's restore itself may need pages of it. */
  take(imagePid: number, holderPid: number, holderFd: number): void {
    if (!this.closed) this.native.take(imagePid, holderPid, holderFd);
  }

  /** Everything that a userfaultfd would not see missing is there when it resolves. */
  async gate(targets: readonly FillTarget[], signal: AbortSignal): Promise<void> {
    const chunks = this.native.gate(targets);
    const worker = async (): Promise<void> => {
      for (let chunk = chunks.shift(); chunk !== undefined; chunk = chunks.shift()) {
        signal.throwIfAborted();
        await this.fetchChunk(chunk);
        faultPoint('agent.restore.pages');
      }
    };
    await Promise.all(Array.from({ length: PARALLEL_BLOBS }, worker));
  }

  /** Fetches all the rest before the tree runs. @throws what the store or the check of the pages said */
  async all(signal: AbortSignal, onProgress: (doneBytes: number, totalBytes: number) => void): Promise<void> {
    await this.fetchAll(async () => {
      signal.throwIfAborted();
      faultPoint('agent.restore.pages');
      const { residentBytes, totalBytes } = this.status();
      onProgress(residentBytes, totalBytes);
    });
    if (!this.native.isComplete())
      throw new HoldfastError('CORRUPT', 'some pages of the page index are in no pack');
  }

  /** From now on the tree may run. */
  release(): void {
    this.isReleased = true;
  }

  /** Fetches the rest while the tree runs, without waiting. */
  begin(): void {
    this.fetchAll(async () => faultPoint('agent.lazy.pages'))
      .then(() => this.finish())
      .catch(this.fail);
  }

  status(): FillStatus {
    const sinceMs = Math.min(...this.outstanding.values());
    const isSlow = Date.now() - sinceMs > SLOW_MS;
    return {
      residentBytes: this.closed ? 0 : this.native.residentPages() * PAGE_BYTES,
      totalBytes: this.closed ? 0 : this.native.totalPages() * PAGE_BYTES,
      storeUnavailableSinceMs: isSlow ? sinceMs : 0,
    };
  }

  /** Only when it is complete, or the tree is gone. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    clearInterval(this.slowCheck);
    this.native.close();
  }

  private readonly fail = (thrown: unknown): void => {
    if (this.closed) return;
    this.options.onFailed(toHoldfastError(thrown));
  };

  private serve(chunk: number): void {
    if (this.wanted.has(chunk)) return;
    this.wanted.add(chunk);
    this.queue.promote(this.native.chunk(chunk).pack);
    this.fetchChunk(chunk).then(() => this.wanted.delete(chunk), this.fail);
  }

  private async fetchChunk(chunk: number): Promise<void> {
    const { pack, offset, length } = this.native.chunk(chunk);
    const { key } = this.packOf(pack);
    const blob = await this.fetch(() => this.options.store.get(key, { offset, length }));
    if (!this.closed && blob) await this.native.fillChunk(chunk, blob);
  }

  private async fetchAll(onPack: () => Promise<void>): Promise<void> {
    const worker = async (_: unknown, number: number): Promise<void> => {
      const room = PackRoom.forPacks(this.options.packs);
      for (let pack = this.queue.next(); pack !== undefined; pack = this.queue.next()) {
        // Who waits for a page comes first; one pack is always on its way.
        while (number > 0 && this.wanted.size > 0 && !this.closed) await delay(1);
        await this.fetchPack(pack, room);
        if (this.closed) return;
        await onPack();
      }
    };
    await Promise.all(Array.from({ length: PARALLEL_PACKS }, worker));
  }

  private async fetchPack(number: number, room: PackRoom): Promise<void> {
    if (this.closed || !this.native.isMissing(number)) return;
    const pack = this.packOf(number);
    const body = await this.fetch(() => room.fetch(this.options.store, pack));
    if (!this.closed && body) await this.native.fillPack(number, body, packChecksum(pack));
  }

  private async finish(): Promise<void> {
    // A chunk that somebody waits for is on its way by itself.
    while (!this.closed && !this.native.isComplete()) await delay(COMPLETE_LOOK_MS);
    if (this.closed) return;
    faultPoint('agent.lazy.complete');
    this.options.onComplete();
  }

  private packOf(number: number): ObjectRef {
    const pack = this.options.packs[number - 1];
    if (pack) return pack;
    throw new HoldfastError('CORRUPT', `the page index names pack ${number}, the manifest does not`);
  }

  /** Tries until it succeeds, or nobody wants it any more (null). */
  private async fetch(get: () => Promise<Buffer>): Promise<Buffer | null> {
    const ticket = Symbol();
    this.outstanding.set(ticket, Date.now());
    try {
      while (!this.closed) {
        try {
          return await get();
        } catch (thrown) {
          const error = toHoldfastError(thrown);
          if (FATAL.has(error.code) || !this.isReleased) throw error;
          this.options.log.warn({ err: error }, 'the store gives no pages; the job waits for them');
        }
        await delay(RETRY_MS);
      }
      return null;
    } finally {
      this.outstanding.delete(ticket);
    }
  }

  private watchStore(): void {
    const { storeUnavailableSinceMs, residentBytes, totalBytes } = this.status();
    const isSlow = storeUnavailableSinceMs > 0;
    if (isSlow === this.isStoreSlow) return;
    this.isStoreSlow = isSlow;
    const text = isSlow
      ? 'the store does not answer; the job waits for its pages'
      : 'the store answers again';
    this.options.log.warn({ residentBytes, totalBytes, storeUnavailableSinceMs }, text);
  }
}
