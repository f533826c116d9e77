/**
 * The one native boundary: same names, same order as native/engine/addon.cc. TypeScript validates and
 * explains; C++ owns resources and releases them on close. Absent values are null, never undefined.
 */
import { HoldfastError } from '../core/errors';
import { loadEngine, MAX_PID, requireInteger, translated, translatedAsync } from './load';

export { adoptSnapshot, endSnapshot, type Snapshot } from './snapshot';

export interface CaptureProcess {
  /** Pid in this process's pid namespace. */
  readonly pid: number;
  /** Pid in the job's pid namespace, as CRIU's images name it. */
  readonly imagePid: number;
  /** Its memory is also written behind the page tables: at the hold all of it is read and compared, for as long as the ledger lives. */
  readonly isUntracked?: boolean;
}

export interface CaptureOptions {
  /** Upper limit of all buffers together; next() waits for recycle() when it is reached. */
  readonly budgetBytes: number;
  /** Target size of a pack. */
  readonly packBytes: number;
  /** Pages per chunk at most. */
  readonly chunkPages: number;
  readonly threads: number;
  /** How much nicer the threads are while the processes run, 0 to 19; default: 0. */
  readonly nice?: number;
  /** zstd level, -20 (fastest) to 19; 0 stores without compression. */
  readonly compressionLevel: number;
  /** Default: none; blobs and their addresses are readable then. */
  readonly keys?: BlobKeys | null;
  /** Default: zstd. `auto` samples each chunk, and looks at what the pipeline waits for. */
  readonly codec?: CodecSetting;
}

/** What blobs are encrypted with, derived from a tenant's key (core/encryption). */
export interface BlobKeys {
  /** 8 bytes that tell keys apart, stored with every blob. */
  readonly fingerprint: Buffer;
  /** 32 bytes; encrypts. */
  readonly seal: Buffer;
  /** 32 bytes; makes the addresses of contents. */
  readonly address: Buffer;
}

/** How a chunk is stored (docs/format.md). */
export type Codec = 'none' | 'zstd' | 'lz4' | 'shuffle-lz4';
export type CodecSetting = Codec | 'auto';

/**
 * Why a chunk got its codec. requested: by the settings; incompressible: its sample hardly shrinks; smallest: the codec that
 * shrinks most; faster: a faster one, since the processor is what is waited for; grew: stored as it is after all.
 */
export type CodecReason = 'requested' | 'incompressible' | 'smallest' | 'faster' | 'grew';

/**
 * How writes are noticed: `write-protect` by userfaultfd and PAGEMAP_SCAN (kernel 6.7), `soft-dirty` by the kernel's bits,
 * `fingerprint` by reading and comparing every page; `probe` takes the best this kernel has.
 */
export type TrackMethod = 'write-protect' | 'soft-dirty' | 'fingerprint';

export interface TrackedProcess {
  readonly pid: number;
  readonly method: TrackMethod;
  /** Why the wanted method is not used, or empty. */
  readonly refusal: string;
}

/** What is known of a tree's memory between its generations: where the contents of each page were stored last. */
export interface Ledger {
  /** The attempt that was captured last is a generation now: the next one stores only what differs. */
  commit(): void;
  /** What the last attempt stored is gone. */
  rollback(): void;
  /** A pack that is in the store already; its number. Between attempts only, as learn(). */
  addPack(sizeBytes: number): number;
  /** See learnContents(). */
  learn(index: Buffer, packs: readonly number[]): number;
  trackers(): TrackedProcess[];
  /** Of the packs that the last index named: their bytes, and how much of these it needed. */
  use(): { storedBytes: number; liveBytes: number };
}

/**
 * How stored pages are found: `probe` takes the best way the kernel has, `entries` reads /proc/PID/pagemap as
 * kernels before 6.7 need it.
 */
export type PageScan = 'probe' | 'entries';

export interface Pack {
  readonly number: number;
  /** The engine's own memory, not a copy. recycle(number) empties it; after close() it stays valid. */
  readonly body: Buffer;
  /** Of body, lower-case hex. */
  readonly sha256: string;
  readonly xxh3: string;
}

export interface CaptureTotals {
  /** Pages with contents of their own, at the last look. */
  readonly scannedPages: number;
  /** Pages read, in all steps. */
  readonly readPages: number;
  /** Captured pages whose contents were stored already. */
  readonly reusedPages: number;
  readonly zeroPages: number;
  readonly capturedPages: number;
  readonly capturedBytes: number;
  readonly storedBytes: number;
  readonly chunks: number;
  /** Chunks that were encoded. */
  readonly codecReasons: Readonly<Record<CodecReason, number>>;
}

/** A clone of a frozen process that never runs: its memory is that of the hold. */
export interface SnapshotPids {
  readonly pid: number;
  readonly clonePid: number;
}

/** Shared memory without a file, as the kernel names it. */
export interface Segment {
  /** Of the device. */
  readonly major: number;
  readonly minor: number;
  readonly inode: number;
}

export interface StepCounts {
  readonly presentPages: number;
  /** Found written since they were read last, or never read. */
  readonly stalePages: number;
  /** Of these: to be read before the processes run on. */
  readonly heldPages: number;
  /** Of these: to be read from snapshots. */
  readonly snapshotPages: number;
}

export interface CapturedIndex {
  /** The page index (docs/format.md). */
  readonly body: Buffer;
  /** Numbers of the packs it names, also of earlier captures with this ledger, in the index's own order. */
  readonly packs: readonly number[];
}

/**
 * One attempt at a generation: rounds while the processes run, freeze() and readHeld() while they are frozen, then, if
 * there are snapshots, readSnapshots(), and finish(). One step at a time; meanwhile next() must be called for packs.
 */
export interface Capture {
  /** Stores what was written since the last look, while the processes run. Those that end meanwhile are no error. */
  round(processes: readonly CaptureProcess[]): Promise<StepCounts>;
  /**
   * Looks at frozen processes (ptrace stop or freezer). What is captured afterwards is their memory now, with those segments
   * of shared memory that CRIU left out. All data of these must be mapped.
   */
  freeze(
    processes: readonly CaptureProcess[],
    snapshots: readonly SnapshotPids[],
    leftOut?: readonly Segment[],
  ): Promise<StepCounts>;
  /** Reads what no snapshot has; then the processes may run on. */
  readHeld(): Promise<StepCounts>;
  /** Reads the rest from the snapshots; then these may end. */
  readSnapshots(): Promise<StepCounts>;
  /** Encodes what is left and makes the page index. */
  finish(): Promise<StepCounts>;
  /**
   * The next pack, or null when all are there. One call at a time. The first failure ends the capture; close() ends a
   * call that waits, and a step, with ABORTED.
   */
  next(): Promise<Pack | null>;
  /** Gives the buffer of an uploaded pack back. After close() it does nothing. */
  recycle(number: number): void;
  /** After next() returned null. */
  index(): CapturedIndex;
  totals(): CaptureTotals;
  /** How fast packs are stored, in bytes per second, for the choice of codecs; 0: not known. */
  setUploadRate(bytesPerS: number): void;
  /** Stops the threads and frees everything; safe at any time, and twice. Any other call then is WRONG_STATE. */
  close(): void;
}

export interface FillTarget {
  readonly imagePid: number;
  /** Pid in this process's pid namespace. */
  readonly pid: number;
}

export interface Fill {
  /** Pack numbers the index names, ascending. */
  packNumbers(): number[];
  /**
   * Verifies every chunk of the pack and writes its pages into the targets. Several calls may run at once; body
   * must not change before the promise settles. A failed pack may be written again.
   * @param checksum SHA-256 or XXH3, as it was recorded for the stored pack; null: each chunk is verified by its own address, or by
   * its cipher
   */
  writePack(number: number, body: Buffer, checksum?: string | null): Promise<void>;
  /** Pages written so far. */
  writtenPages(): number;
  /** Pages the index names. */
  totalPages(): number;
  /** Stops the threads; afterwards no page is written. Packs in work end with ABORTED. Safe twice. */
  close(): void;
}

export interface FillOptions {
  /** Packs written at the same time. */
  readonly threads: number;
  /** What encrypted blobs may be encrypted with; default: none are. */
  readonly keys?: readonly BlobKeys[];
}

export interface ChunkPlace {
  readonly pack: number;
  /** Of the chunk's blob, with its header, in its pack. */
  readonly offset: number;
  readonly length: number;
}

export interface LazyFillOptions {
  /** What encrypted blobs may be encrypted with; default: none are. */
  readonly keys?: readonly BlobKeys[];
  /** Chunks verified and written at the same time. */
  readonly threads: number;
  /** Threads of the job wait for these chunks; each is named once, until it was filled. Must not throw. */
  readonly onWanted: (chunks: number[]) => void;
  /** Descriptors of ours: the userfaultfds of new children. Must not throw. */
  readonly onForked: (descriptors: number[]) => void;
}

/** The filling of processes that run: their missing pages are found by userfaultfd. */
export interface LazyFill {
  /** Serves a process from now on: takes its userfaultfd out of the process that holds it. */
  take(imagePid: number, holderPid: number, holderFd: number): void;
  /** All processes are restored and stopped. Returns the chunks that must be filled before they run. */
  gate(targets: readonly FillTarget[]): number[];
  chunk(chunk: number): ChunkPlace;
  /** Verifies a chunk's blob and puts its pages where they are missing. */
  fillChunk(chunk: number, blob: Buffer): Promise<void>;
  /** The same for all chunks of a pack that are missing. checksum: as of Fill.writePack. */
  fillPack(number: number, body: Buffer, checksum: string | null): Promise<void>;
  /** Whether chunks of the pack are missing. */
  isMissing(number: number): boolean;
  /** Packs with missing chunks, ascending. */
  missingPacks(): number[];
  residentPages(): number;
  totalPages(): number;
  /** Nothing is missing any more, or nobody is left to miss it. */
  isComplete(): boolean;
  /** Lets go of the processes: what is missing then reads as zeros, unless somebody else holds their userfaultfds. Safe twice. */
  close(): void;
}

export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

export interface ChunkOptions {
  readonly codec: CodecSetting;
  readonly compressionLevel: number;
  readonly keys?: BlobKeys | null;
}

export interface EncodedChunk {
  /** Header and stored bytes. */
  readonly blob: Buffer;
  /** What names the contents in a page index, lower-case hex. */
  readonly address: string;
  readonly reason: CodecReason;
}

/** Stored bytes per raw byte of a sample, and what the parts of the pipeline do per second. */
export interface CodecQuestion {
  readonly lz4Ratio: number;
  readonly shuffleLz4Ratio: number;
  readonly zstdRatio: number;
  /** Raw bytes, one thread. */
  readonly lz4BytesPerS: number;
  readonly shuffleLz4BytesPerS: number;
  readonly zstdBytesPerS: number;
  /** Stored bytes; 0: not known. */
  readonly uploadBytesPerS: number;
  readonly threads: number;
}

interface Encoding {
  codec: CodecSetting;
  keys: BlobKeys | null;
}

interface NativeEngine {
  NativeLedger: new (method: TrackMethod | 'probe') => Ledger;
  NativeCapture: new (ledger: Ledger, options: CaptureOptions & { pageScan: PageScan } & Encoding) => Capture;
  trackMethod(): TrackMethod;
  NativeFill: new (index: Buffer, targets: readonly FillTarget[], options: Required<FillOptions>) => Fill;
  encodeChunk(raw: Uint8Array, options: ChunkOptions & Encoding & { threads: number }): EncodedChunk;
  decodeBlob(blob: Uint8Array, keys: readonly BlobKeys[]): Buffer;
  chooseCodec(question: CodecQuestion): { codec: Codec; reason: CodecReason };
  NativeLazyFill: new (index: Buffer, options: Required<LazyFillOptions>) => LazyFill;
  peerCredentials(fd: number): PeerCredentials;
}

const engine = (): NativeEngine => loadEngine() as NativeEngine;

function requireKeys({ fingerprint, seal, address }: BlobKeys): void {
  if (fingerprint.length === 8 && seal.length === 32 && address.length === 32) return;
  throw new HoldfastError('INVALID_ARGUMENT', 'an encryption key is not of the right length');
}

function encoding(options: { codec?: CodecSetting; keys?: BlobKeys | null }): Encoding {
  if (options.keys) requireKeys(options.keys);
  return { codec: options.codec ?? 'zstd', keys: options.keys ?? null };
}

const MAX_THREADS = 256;

function requireProcesses(name: string, processes: readonly CaptureProcess[]): void {
  const seen = new Set<number>();
  for (const { pid, imagePid } of processes) {
    requireInteger(`${name}: pid`, pid, 1, MAX_PID);
    requireInteger(`${name}: imagePid`, imagePid, 1, MAX_PID);
    if (seen.has(imagePid))
      throw new HoldfastError('INVALID_ARGUMENT', `${name}: imagePid ${imagePid} occurs twice`);
    seen.add(imagePid);
  }
}

/** The best way to notice writes that this kernel has. */
export const trackMethod = (): TrackMethod => translated(() => engine().trackMethod());

export function openLedger(method: TrackMethod | 'probe' = 'probe'): Ledger {
  const { NativeLedger } = engine();
  return translated(() => new NativeLedger(method));
}

/**
 * Tells the ledger which contents the packs of a committed generation hold: chunks with the same are not stored again. Its
 * pages stay unknown (M7). CORRUPT or UNKNOWN_FORMAT: the index is not to be believed, and nothing was told.
 * @param packs the ledger's numbers (addPack) of the packs that the index names, in its order; 0: one not to be relied on
 * @returns how many blobs it told of
 */
export function learnContents(ledger: Ledger, index: Buffer, packs: readonly number[]): number {
  for (const pack of packs) requireInteger('pack', pack, 0, 2 ** 32 - 1);
  return translated(() => ledger.learn(index, packs));
}

/**
 * Begins an attempt. Mistakes in the options are INVALID_ARGUMENT, here or, for a budget too small for its threads,
 * from the steps. Threads of one process, and processes that share their memory, may be named; each address space is
 * captured once, under the first imagePid named for it. After it, commit() or rollback() of the ledger must follow.
 */
export function startCapture(ledger: Ledger, options: CaptureOptions, pageScan: PageScan = 'probe'): Capture {
  requireInteger('threads', options.threads, 1, MAX_THREADS);
  requireInteger('chunkPages', options.chunkPages, 1, 16384);
  requireInteger('packBytes', options.packBytes, 4096, 2 ** 30);
  requireInteger('budgetBytes', options.budgetBytes, options.packBytes, Number.MAX_SAFE_INTEGER);
  requireInteger('compressionLevel', options.compressionLevel, -20, 19);
  const nice = options.nice ?? 0;
  requireInteger('nice', nice, 0, 19);
  const { NativeCapture } = engine();
  const native = translated(
    () => new NativeCapture(ledger, { ...options, nice, ...encoding(options), pageScan }),
  );
  return {
    round: (processes) => {
      requireProcesses('processes', processes);
      return translatedAsync(() => native.round(processes));
    },
    freeze: (processes, snapshots, leftOut = []) => {
      requireProcesses('processes', processes);
      return translatedAsync(() => native.freeze(processes, snapshots, leftOut));
    },
    readHeld: () => translatedAsync(() => native.readHeld()),
    readSnapshots: () => translatedAsync(() => native.readSnapshots()),
    finish: () => translatedAsync(() => native.finish()),
    next: () => translatedAsync(() => native.next()),
    recycle: (number) => translated(() => native.recycle(number)),
    index: () => translated(() => native.index()),
    totals: () => translated(() => native.totals()),
    setUploadRate: (bytesPerS) => native.setUploadRate(bytesPerS),
    close: () => native.close(),
  };
}

/** One chunk as a capture stores it. */
export function encodeChunk(raw: Uint8Array, options: ChunkOptions): EncodedChunk {
  requireInteger('length of the chunk', raw.length, 4096, 2 ** 26);
  requireInteger('bytes beyond whole pages', raw.length % 4096, 0, 0);
  requireInteger('compressionLevel', options.compressionLevel, -20, 19);
  return translated(() => engine().encodeChunk(raw, { ...options, ...encoding(options), threads: 1 }));
}

/**
 * The raw pages of a blob. CORRUPT or UNKNOWN_FORMAT when they are not what its header names, KEY_UNAVAILABLE when it is
 * encrypted with none of the keys.
 */
export function decodeBlob(blob: Uint8Array, keys: readonly BlobKeys[] = []): Buffer {
  keys.forEach(requireKeys);
  return translated(() => engine().decodeBlob(blob, keys));
}

/** The decision alone, as a capture with the codec `auto` takes it for a chunk. */
export function chooseCodec(question: CodecQuestion): { codec: Codec; reason: CodecReason } {
  return translated(() => engine().chooseCodec(question));
}

/**
 * Checks the page index (CORRUPT, UNKNOWN_FORMAT) and opens the memory of every process it has pages for (NOT_FOUND,
 * also when `targets` lacks one). Processes without pages in the index are passed over.
 */
export function startFill(index: Buffer, targets: readonly FillTarget[], options: FillOptions): Fill {
  requireProcesses('targets', targets);
  requireInteger('threads', options.threads, 1, MAX_THREADS);
  const { NativeFill } = engine();
  const keys = options.keys ?? [];
  keys.forEach(requireKeys);
  const native = translated(() => new NativeFill(index, targets, { ...options, keys }));
  return {
    packNumbers: () => translated(() => native.packNumbers()),
    writePack: (number, body, checksum = null) =>
      translatedAsync(() => native.writePack(number, body, checksum)),
    writtenPages: () => translated(() => native.writtenPages()),
    totalPages: () => translated(() => native.totalPages()),
    close: () => native.close(),
  };
}

/** Checks the page index (CORRUPT, UNKNOWN_FORMAT). The fill lives until close(). */
export function startLazyFill(index: Buffer, options: LazyFillOptions): LazyFill {
  requireInteger('threads', options.threads, 1, MAX_THREADS);
  const { NativeLazyFill } = engine();
  const keys = options.keys ?? [];
  keys.forEach(requireKeys);
  const native = translated(() => new NativeLazyFill(index, { ...options, keys }));
  return {
    take: (imagePid, pid, fd) => translated(() => native.take(imagePid, pid, fd)),
    gate: (targets) => translated(() => native.gate(targets)),
    chunk: (chunk) => translated(() => native.chunk(chunk)),
    fillChunk: (chunk, blob) => translatedAsync(() => native.fillChunk(chunk, blob)),
    fillPack: (number, body, checksum) => translatedAsync(() => native.fillPack(number, body, checksum)),
    isMissing: (number) => translated(() => native.isMissing(number)),
    missingPacks: () => translated(() => native.missingPacks()),
    residentPages: () => translated(() => native.residentPages()),
    totalPages: () => translated(() => native.totalPages()),
    isComplete: () => translated(() => native.isComplete()),
    close: () => native.close(),
  };
}

/** Who connected, as the kernel knows it. INVALID_ARGUMENT when fd is not a connected UNIX socket. */
export function peerCredentials(fd: number): PeerCredentials {
  requireInteger('fd', fd, 0, 2 ** 31 - 1);
  return translated(() => engine().peerCredentials(fd));
}
