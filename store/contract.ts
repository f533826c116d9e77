/**
 * The object store contract. One suite (test/contract) runs on every implementation.
 *
 * Keys are '/'-separated, each part of [A-Za-z0-9._-]+, not '.' or '..', at most 512 bytes (store/key.ts). No key
 * is a directory of another one: 'a' and 'a/b' do not exist together.
 * Failures are HoldfastErrors: OBJECT_MISSING, STORE_REFUSED (credentials, permissions), CORRUPT (the server
 * or driver found a checksum mismatch), STORE_UNAVAILABLE (anything a retry may cure).
 */

export interface ObjectInfo {
  readonly key: string;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
}

export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

export interface PutOptions {
  /** Lower-case hex SHA-256 of the body when the caller has it: the driver lets the receiver verify it. */
  readonly sha256?: string;
}

/** Room for so many bytes: in the buffer when it is large enough, else a new one. */
export function roomFor(lengthBytes: number, into?: Buffer): Buffer {
  return into !== undefined && into.length >= lengthBytes
    ? into.subarray(0, lengthBytes)
    : Buffer.allocUnsafe(lengthBytes);
}

export interface ObjectStore {
  /** For logs and errors: scheme, endpoint and bucket or path; never a secret. */
  readonly description: string;

  /** Writes an object; durable when the promise resolves. An existing object is replaced whole. */
  put(key: string, body: Uint8Array, options?: PutOptions): Promise<void>;

  /**
   * Writes an object unless the key exists: exactly one of several concurrent callers sees true.
   * After a lost reply the outcome may be unknown (STORE_UNAVAILABLE): read the key back (invariant C3).
   */
  putIfAbsent(key: string, body: Uint8Array): Promise<boolean>;

  /**
   * The whole object, or `length` bytes from `offset`; CORRUPT when the object ends before them.
   * @param into where to put them, if they fit there: the result then shares its memory. A buffer that is used again and again
   *   costs less than fresh memory for every object. After an error its contents are undefined.
   */
  get(key: string, range?: ByteRange, into?: Buffer): Promise<Buffer>;

  /** null when there is no such object. */
  stat(key: string): Promise<ObjectInfo | null>;

  /** Every object whose key starts with the prefix, in key order. */
  list(prefix: string): AsyncIterable<ObjectInfo>;

  /** Removing what is not there succeeds. */
  delete(key: string): Promise<void>;

  /** Checks that the store answers and the bucket or directory exists; creates it when it may. */
  open(): Promise<void>;

  close(): Promise<void>;
}
