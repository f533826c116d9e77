/** Whole objects, encrypted: page index, segments of images and files (docs/format.md, "Encryption"). Pure. */
import { HoldfastError } from '../errors';
import type { EncryptionKeys } from './keys';
import { decrypt, encrypt, NONCE_BYTES, TAG_BYTES } from './xaes';

const MAGIC = 'HFEO';
const VERSION = 1;
const FINGERPRINT_AT = 8;
const HEADER_BYTES = 16;

/** What a sealed object is longer than its contents. */
export const OBJECT_SEAL_BYTES = HEADER_BYTES + NONCE_BYTES + TAG_BYTES;

function header(keys: EncryptionKeys): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.write(MAGIC, 'latin1');
  bytes.writeUInt16LE(VERSION, 4);
  keys.fingerprint.copy(bytes, FINGERPRINT_AT);
  return bytes;
}

/** The name within its tree: objects of one tree cannot take each other's place. */
const authenticated = (head: Buffer, key: string): Buffer =>
  Buffer.concat([head, Buffer.from(key.slice(key.lastIndexOf('/') + 1))]);

/** @param key the object's key in the store */
export function sealObject(keys: EncryptionKeys, key: string, plain: Uint8Array): Buffer {
  const head = header(keys);
  const { nonce, sealed } = encrypt(keys.object, authenticated(head, key), plain);
  return Buffer.concat([head, nonce, ...sealed]);
}

/** @throws CORRUPT, UNKNOWN_FORMAT, KEY_UNAVAILABLE (encrypted with another key than this) */
export function openObject(keys: EncryptionKeys, key: string, object: Buffer): Buffer {
  const remedy = 'use another generation and check the storage';
  if (object.length < OBJECT_SEAL_BYTES || object.toString('latin1', 0, 4) !== MAGIC) {
    throw new HoldfastError('CORRUPT', `${key} is not an encrypted object`, remedy);
  }
  const version = object.readUInt16LE(4);
  const flags = object.readUInt16LE(6);
  if (version !== VERSION || flags !== 0) {
    throw new HoldfastError(
      'UNKNOWN_FORMAT',
      `${key} is encrypted in version ${version} with flags ${flags}`,
      'use the version of Holdfast that wrote it, or a newer one',
    );
  }
  const head = object.subarray(0, HEADER_BYTES);
  if (!head.subarray(FINGERPRINT_AT).equals(keys.fingerprint)) {
    throw new HoldfastError(
      'KEY_UNAVAILABLE',
      `${key} is not encrypted with the key that is here as ${keys.id}`,
      `put the key back that ${keys.id} was when it was written`,
    );
  }
  const nonce = object.subarray(HEADER_BYTES, HEADER_BYTES + NONCE_BYTES);
  const sealed = object.subarray(HEADER_BYTES + NONCE_BYTES);
  const plain = decrypt(keys.object, authenticated(head, key), nonce, sealed);
  if (plain === null) throw new HoldfastError('CORRUPT', `${key} is not what was encrypted`, remedy);
  return plain;
}
