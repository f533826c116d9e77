/**
 * Byte streams as objects of known size. Memory is bounded by a few segments in both directions, whatever the
 * length of the stream.
 */
import { Readable } from 'node:stream';
import { type EncryptionKeys, keyUnavailable } from '../core/encryption/keys';
import { OBJECT_SEAL_BYTES, openObject, sealObject } from '../core/encryption/objects';
import { HoldfastError } from '../core/errors';
import type { ObjectRef, StreamRef } from '../proto/gen/holdfast/v1/manifest';
import type { ObjectStore } from './contract';
import { checkSha256, sha256Hex } from './sha256';

/** Larger segments would make memory a matter of what a manifest says. */
export const MAX_SEGMENT_BYTES = 64 * 2 ** 20;
const DEFAULT_SEGMENT_BYTES = 16 * 2 ** 20;
const MAX_SEGMENTS = 99_999;

/** A Readable, or any other source of chunks. */
export type ByteSource = AsyncIterable<Uint8Array | string>;

export interface UploadOptions {
  /** 1 to MAX_SEGMENT_BYTES. */
  readonly segmentBytes?: number;
  /** Recorded in the StreamRef: "raw" or "tar+zstd". */
  readonly encoding?: string;
  /** Encrypts every segment; default: none is. */
  readonly keys?: EncryptionKeys | null;
}

/** By key id, for what is encrypted. */
export type KeysById = ReadonlyMap<string, EncryptionKeys>;

/**
 * Stores the stream as `PREFIX-00001`, `PREFIX-00002` and so on, each of `segmentBytes` but the last; an empty stream has no segments.
 * One segment is filled while the one before it is stored. After an error the segments stored so far remain: they belong to
 * nothing, and their keys are the prefix's.
 */
export async function uploadStream(
  store: ObjectStore,
  readable: ByteSource,
  keyPrefix: string,
  { segmentBytes = DEFAULT_SEGMENT_BYTES, encoding = 'raw', keys = null }: UploadOptions = {},
): Promise<StreamRef> {
  const maxBytes = MAX_SEGMENT_BYTES - (keys ? OBJECT_SEAL_BYTES : 0);
  if (!Number.isInteger(segmentBytes) || segmentBytes < 1 || segmentBytes > maxBytes) {
    throw new HoldfastError(
      'INVALID_ARGUMENT',
      `segments of ${segmentBytes} bytes`,
      `1 to ${maxBytes} bytes`,
    );
  }
  const segments: ObjectRef[] = [];
  let storing: Promise<void> = Promise.resolve();
  try {
    for await (const piece of cut(readable, segmentBytes)) {
      await storing;
      const key = segmentKey(keyPrefix, segments.length + 1);
      const body = keys ? sealObject(keys, key, piece) : piece;
      const sha256 = await sha256Hex(body);
      segments.push({ key, sizeBytes: body.length, sha256, ...(keys ? { encryptionKey: keys.id } : {}) });
      storing = store.put(key, body, { sha256 });
      // The rejection is met by the next await; until then it must not count as unhandled.
      storing.catch(() => undefined);
    }
  } finally {
    await storing;
  }
  return { segments, encoding };
}

function segmentKey(prefix: string, number: number): string {
  if (number > MAX_SEGMENTS) {
    throw new HoldfastError(
      'LIMIT_EXCEEDED',
      `${prefix} has more than ${MAX_SEGMENTS} segments`,
      'use larger segments',
    );
  }
  return `${prefix}-${String(number).padStart(5, '0')}`;
}

/**
 * The stream in pieces of `segmentBytes`, the last one shorter. Two buffers take turns: a piece is valid until the
 * piece after the next one is asked for.
 */
async function* cut(readable: ByteSource, segmentBytes: number): AsyncGenerator<Buffer> {
  const buffers: Buffer[] = [];
  let turn = 0;
  let filled = 0;
  for await (const chunk of readable) {
    const bytes: Buffer = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk);
    for (let taken = 0; taken < bytes.length; ) {
      buffers[turn] ??= Buffer.allocUnsafeSlow(segmentBytes);
      const buffer = buffers[turn] as Buffer;
      const copied = bytes.copy(buffer, filled, taken);
      taken += copied;
      filled += copied;
      if (filled < segmentBytes) continue;
      yield buffer;
      turn = 1 - turn;
      filled = 0;
    }
  }
  if (filled > 0) yield (buffers[turn] as Buffer).subarray(0, filled);
}

/**
 * The bytes of a stored stream. No byte of a segment is passed on before the whole segment was found to have its
 * recorded size and SHA-256; the next segment is fetched meanwhile.
 * Errors of the stream: CORRUPT, OBJECT_MISSING and what ObjectStore.get throws.
 */
export function downloadStream(store: ObjectStore, ref: StreamRef, keys: KeysById = new Map()): Readable {
  return Readable.from(segmentsOf(store, ref.segments, keys), { objectMode: false, highWaterMark: 0 });
}

async function* segmentsOf(
  store: ObjectStore,
  refs: readonly ObjectRef[],
  keys: KeysById,
): AsyncGenerator<Buffer> {
  let next: Promise<Buffer> | null = null;
  for (const [index, ref] of refs.entries()) {
    const body: Buffer = await (next ?? fetchOpened(store, ref, keys));
    const following = refs[index + 1];
    if (following !== undefined) {
      next = fetchOpened(store, following, keys);
      // Met by the await above, unless the reader goes away before.
      next.catch(() => undefined);
    }
    if (body.length > 0) yield body;
  }
}

/**
 * The contents of an object that may be encrypted. Not for packs: their blobs are, one by one.
 * @throws KEY_UNAVAILABLE when its key is not among the given ones
 */
export async function fetchOpened(store: ObjectStore, ref: ObjectRef, keys: KeysById): Promise<Buffer> {
  const body = await fetchVerified(store, ref);
  if (ref.encryptionKey === undefined) return body;
  const key = keys.get(ref.encryptionKey);
  if (!key) throw keyUnavailable(ref.encryptionKey, `${ref.key} of ${store.description} needs it`);
  return openObject(key, ref.key, body);
}

/** The object's bytes, exactly as they were recorded. */
export async function fetchVerified(store: ObjectStore, ref: ObjectRef): Promise<Buffer> {
  const what = `${ref.key} of ${store.description}`;
  const remedy = 'use another generation and check the storage';
  if (ref.sizeBytes < 0 || ref.sizeBytes > MAX_SEGMENT_BYTES) {
    throw new HoldfastError('CORRUPT', `${what} is recorded with ${ref.sizeBytes} bytes`, remedy);
  }
  const info = await store.stat(ref.key);
  if (info === null) throw new HoldfastError('OBJECT_MISSING', `${what} does not exist`, remedy);
  if (info.sizeBytes !== ref.sizeBytes) {
    throw new HoldfastError(
      'CORRUPT',
      `${what} has ${info.sizeBytes} bytes, expected ${ref.sizeBytes}`,
      remedy,
    );
  }
  const body = await store.get(ref.key, { offset: 0, length: ref.sizeBytes });
  await checkSha256(body, ref.sha256, what);
  return body;
}
