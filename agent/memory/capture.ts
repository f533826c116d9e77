/** One attempt at a generation of one tree's memory: rounds while it runs, the hold, and what comes after it. */
import { createHash } from 'node:crypto';
import type { EncryptionKeys } from '../../core/encryption/keys';
import { HoldfastError } from '../../core/errors';
import { faultPoint } from '../../core/faults';
import {
  type Capture,
  type CaptureProcess,
  type CodecSetting,
  type Segment,
  type SnapshotPids,
  startCapture,
} from '../../native';
import type { LiveMode, MemoryTotals, ObjectRef } from '../../proto/gen/holdfast/v1/manifest';
import type { ObjectStore } from '../../store/contract';
import { PackUploads } from './packUploads';
import {
  type Buffers,
  expectedBytes,
  type Round,
  roundsAreWorthIt,
  wantsAnotherRound,
  wantsSnapshot,
} from './rounds';
import type { TreeMemory } from './treeMemory';
import type { UploadLimit } from './uploadLimit';
import type { UploadRate } from './uploadRate';

const PACK_BYTES = 16 << 20;
const CHUNK_PAGES = 256;
const THREADS = 2;
const PAGE_BYTES = 4096;
/** What the encoders do at least, with the dearest codec. */
const ENCODE_BYTES_PER_MS = 0.25e6;
/** The tree is frozen: a store that takes nothing for so long hangs (F1). */
const HELD_STALL_MS = 5 * 60_000;

export interface CaptureMemory {
  readonly budgetBytes: number;
  readonly compression: CodecSetting;
  readonly compressionLevel: number;
  /** Of this node, measured by what it stores. */
  readonly uploadRate: UploadRate;
  readonly uploadLimit: UploadLimit;
  /** Of the threads that copy while the job runs. */
  readonly nice: number;
  /** null: not encrypted. */
  readonly keys: EncryptionKeys | null;
  /** New packs become KEY_PREFIX/pack-00001, … */
  readonly keyPrefix: string;
  /** Ends the capture early with its reason. */
  readonly signal: AbortSignal;
  readonly onProgress: (doneBytes: number) => void;
  readonly heldStallMs?: number;
}

/** Everything is in the store. */
export interface StoredMemory {
  readonly index: Buffer;
  /** In the index's order; also packs of older generations. */
  readonly packs: ObjectRef[];
  /** Of these, what this attempt stored. */
  readonly newBytes: number;
  readonly totals: MemoryTotals;
}

export class MemoryCapture {
  private readonly rounds: Round[] = [];
  private presentBytes = 0;
  private readonly capture: Capture;
  private readonly uploads: PackUploads;
  private readonly packs: Promise<void>;
  private heldPages = 0;
  private livePages = 0;

  constructor(
    store: ObjectStore,
    private readonly memory: TreeMemory,
    private readonly options: CaptureMemory,
  ) {
    this.capture = startCapture(memory.ledger, {
      budgetBytes: options.budgetBytes,
      packBytes: PACK_BYTES,
      chunkPages: CHUNK_PAGES,
      threads: THREADS,
      nice: options.nice,
      codec: options.compression,
      keys: options.keys,
      compressionLevel: options.compression === 'none' ? 0 : options.compressionLevel,
    });
    const { keyPrefix, signal, uploadRate, uploadLimit } = options;
    this.uploads = new PackUploads(this.capture, {
      store,
      keyPrefix,
      signal,
      uploadRate,
      uploadLimit,
      stored: memory.packs,
      encryptionKey: options.keys?.id,
    });
    this.packs = this.takePacks();
    this.packs.catch(() => {}); // whoever waits for a step meets it
  }

  /** Half of the budget, as the engine divides it; emptied by the encoders, or by a store that is slower. */
  private get buffers(): Buffers {
    const storeBytesPerMs = this.options.uploadRate.bytesPerS / 1000;
    return {
      bytes: this.options.budgetBytes / 2,
      drainBytesPerMs: Math.min(ENCODE_BYTES_PER_MS, storeBytesPerMs || ENCODE_BYTES_PER_MS),
    };
  }

  /** Copies while the tree runs, as long as it leaves less to the hold. */
  async precopy(processes: () => readonly CaptureProcess[]): Promise<void> {
    if (!roundsAreWorthIt(this.memory.experience)) return;
    while (wantsAnotherRound(this.rounds, this.buffers)) await this.round(processes);
  }

  wantsSnapshot(mode: LiveMode): boolean {
    const last = this.memory.experience;
    const residual = expectedBytes(this.rounds, last);
    return wantsSnapshot(mode, residual, this.presentBytes || (last?.presentBytes ?? 0), this.buffers);
  }

  private async round(processes: () => readonly CaptureProcess[]): Promise<void> {
    const startMs = performance.now();
    const { stalePages, presentPages } = await this.met(this.capture.round(processes()));
    this.presentBytes = presentPages * PAGE_BYTES;
    this.rounds.push({ stalePages, durationMs: performance.now() - startMs });
    faultPoint('agent.prepare.round');
    this.options.onProgress(this.capture.totals().readPages * PAGE_BYTES);
  }

  /**
   * The tree is frozen. When it resolves, what the snapshots do not have has been read.
   * @param leftOut shared memory that is not in CRIU's images
   * @returns bytes of memory that the attempt has to do with
   */
  async hold(
    processes: readonly CaptureProcess[],
    snapshots: readonly SnapshotPids[],
    leftOut: readonly Segment[],
  ): Promise<number> {
    const counts = await this.met(this.capture.freeze(processes, snapshots, leftOut));
    await this.unlessStalled(() => this.met(this.capture.readHeld()));
    faultPoint('agent.capture.pages');
    this.heldPages = counts.heldPages;
    this.livePages = counts.snapshotPages;
    this.presentBytes = counts.presentPages * PAGE_BYTES;
    this.learn(counts.heldPages + counts.snapshotPages);
    const bytes = (this.capture.totals().readPages + counts.snapshotPages) * PAGE_BYTES;
    this.options.onProgress(bytes);
    return bytes;
  }

  /** After the hold: the rest of the snapshots. They may end when it resolves. */
  async readSnapshots(): Promise<void> {
    if (this.livePages > 0) await this.met(this.capture.readSnapshots());
  }

  /** After all reading. Resolves when every pack is in the store. */
  async finish(): Promise<StoredMemory> {
    await this.met(this.capture.finish());
    await this.met(this.packs);
    const { index, packs, totals } = await this.met(this.outcome());
    const newBytes = await this.uploads.finish();
    const refs = packs.map((number) => this.memory.packs.get(number));
    return { index, packs: refs.filter((ref) => ref !== undefined), newBytes, totals };
  }

  /** Ends every step with this reason. */
  giveUp(reason: unknown): void {
    this.uploads.giveUp(reason);
  }

  /** Resolves when nothing is under way any more. */
  async close(): Promise<void> {
    this.capture.close();
    await this.uploads.finish().catch(() => {});
  }

  private async unlessStalled(reading: () => Promise<unknown>): Promise<void> {
    const { heldStallMs = HELD_STALL_MS } = this.options;
    const done = () => this.capture.totals().readPages * PAGE_BYTES + this.uploads.bytesStored;
    let last = done();
    const look = () => {
      if (this.uploads.failure !== null) return;
      const now = done();
      if (now === last) this.giveUp(stalled(heldStallMs));
      last = now;
    };
    const watch = setInterval(look, heldStallMs);
    try {
      await reading();
    } finally {
      clearInterval(watch);
    }
  }

  private learn(heldPages: number): void {
    const { memory, presentBytes } = this;
    const [first] = this.rounds;
    const { foundPages, skipped } = first
      ? { foundPages: first.stalePages, skipped: 0 }
      : { foundPages: 0, ...memory.experience, skipped: (memory.experience?.skipped ?? 0) + 1 };
    memory.experience = { foundPages, heldPages, presentBytes, skipped };
  }

  /** Async, so that the reason of an upload that has failed meanwhile is met. */
  private async outcome() {
    const { body, packs } = this.capture.index();
    return { index: Buffer.from(body), packs, totals: this.totals() };
  }

  private async takePacks(): Promise<void> {
    try {
      for (let pack = await this.capture.next(); pack !== null; pack = await this.capture.next()) {
        faultPoint('agent.upload.pack');
        this.uploads.add(pack);
      }
    } catch (error) {
      this.uploads.giveUp(error);
      throw error;
    }
  }

  /** The reason is that of the first failure, also when it was an upload's. */
  private async met<T>(step: Promise<T>): Promise<T> {
    try {
      return await step;
    } catch (error) {
      // What the engine was told of the pages may not be what it stored.
      this.memory.forget();
      throw this.uploads.failure ?? error;
    }
  }

  private totals(): MemoryTotals {
    const trackers = this.memory.ledger.trackers().map(({ method }) => method);
    return {
      ...this.capture.totals(),
      heldPages: this.heldPages,
      livePages: this.livePages,
      rounds: this.rounds.length,
      trackers: [...new Set(trackers)],
    };
  }
}

const stalled = (ms: number): HoldfastError =>
  new HoldfastError(
    'TIMEOUT',
    `no memory was stored for ${ms / 1000} s while the job was held`,
    'see that the store takes objects; the job runs on',
  );

export const sha256 = (body: Uint8Array): string => createHash('sha256').update(body).digest('hex');
